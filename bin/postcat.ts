/** postcat(1): shows what is in a queue file. */
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { loadConfiguration } from '../lib/config/configuration.ts';
import { importEnvironment } from '../lib/config/environment.ts';
import { errorText, isErrno } from '../lib/os/error.ts';
import { QueueFileError } from '../lib/queue/queue-file-error.ts';
import { parseQueueId } from '../lib/queue/queue-id.ts';
import { hashingOf, type QueueName, queuePath } from '../lib/queue/queue-path.ts';
import type { RecordSource } from '../lib/queue/record-reader.ts';
import { runCommand, say } from './options/command.ts';
import { type ParsedOptions, parseOptions } from './options/options.ts';
import { isQueueFile, type PrintOptions, printFile } from './postcat/printer.ts';

const SYNTAX = {
  flags: 'bc:dehoqrs:v',
  usage:
    'postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope records)] ' +
    '[-h (header text)] [-q (access queue)] [-v] [file(s)...]',
};

/** Where -q looks, in this order. */
const QUEUES: readonly QueueName[] = [
  'maildrop',
  'incoming',
  'active',
  'deferred',
  'hold',
  'saved',
];

async function run(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv, SYNTAX);
  const wanted = printOptions(options);
  if (!options.has('q')) {
    if (options.operands.length === 0) await show(readSource(0, 'stdin'), wanted);
    for (const path of options.operands) await showPath(path, wanted);
    return 0;
  }
  const configuration = loadConfiguration({ directory: options.value('c') });
  importEnvironment(configuration);
  for (const warning of configuration.warnings) say('postcat', `warning: ${warning}`);
  process.chdir(configuration.queuePath());
  const hashing = hashingOf(configuration.select(['hash_queue_names', 'hash_queue_depth']));
  for (const text of options.operands) {
    const id = parseQueueId(text);
    if (id === undefined) throw new Error(`bad mail queue ID: ${text}`);
    const paths = QUEUES.map((queue) => queuePath(queue, id, hashing));
    const fd = openFirst(paths, text);
    try {
      await show(readSource(fd.fd, fd.path), wanted);
    } finally {
      closeSync(fd.fd);
    }
  }
  return 0;
}

function printOptions(options: ParsedOptions): PrintOptions {
  const all = !options.has('e') && !options.has('h') && !options.has('b');
  const start = options.value('s') ?? '0';
  if (!/^\d{1,15}$/.test(start)) throw new Error(`bad offset: ${start}`);
  return {
    envelope: all || options.has('e'),
    header: all || options.has('h'),
    body: all || options.has('b'),
    offsets: options.has('o'),
    types: options.has('d'),
    verbose: options.has('v'),
    raw: options.has('r'),
    start: Number(start),
  };
}

async function showPath(path: string, wanted: PrintOptions): Promise<void> {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw new Error(`open ${path}: ${errorText(error)}`);
  }
  try {
    await show(readSource(fd, path), wanted);
  } finally {
    closeSync(fd);
  }
}

/** A message that is moving is found in its next queue. */
function openFirst(paths: readonly string[], text: string): { fd: number; path: string } {
  for (let attempt = 1; ; attempt += 1) {
    for (const path of paths) {
      try {
        return { fd: openSync(path, 'r'), path };
      } catch (error) {
        if (!isErrno(error, 'ENOENT') || (attempt === 2 && path === paths.at(-1))) {
          throw new Error(`open queue file ${text}: ${errorText(error)}`);
        }
      }
    }
  }
}

/** A pipe can't be read here and there: it is taken into memory. */
function readSource(fd: number, path: string): RecordSource {
  const stats = fstatSync(fd);
  if (stats.isFile()) return { fd, path, sizeBytes: stats.size };
  const bytes = readFileSync(fd);
  return { fd, path, sizeBytes: bytes.length, bytes };
}

async function show(source: RecordSource, wanted: PrintOptions): Promise<void> {
  const warn = (text: string) => say('postcat', `warning: ${text}`);
  try {
    if (!isQueueFile(source, wanted.start)) {
      warn(`${source.path}: input is not a valid queue file`);
      return;
    }
    for (const piece of printFile(source, wanted, warn)) {
      if (!process.stdout.write(piece)) await once(process.stdout, 'drain');
    }
  } catch (error) {
    if (!(error instanceof QueueFileError)) throw error;
    warn(error.message);
    throw new Error('record read error', { cause: error });
  }
}

void runCommand({ name: 'postcat', run });
