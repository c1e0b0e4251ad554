/**
 * postdrop(1): puts a message in maildrop for a program that speaks records (ipc.md 3.2), whether the
 * mail system runs or not, and tells pickup of it. Ours has no set-gid bit: it works for root, and
 * for whoever may write to maildrop. All others use sendmail, which hands its mail to pickup.
 */
import { CLEANUP_STATUS } from '../lib/clients/cleanup.ts';
import { loadConfiguration } from '../lib/config/configuration.ts';
import { importEnvironment } from '../lib/config/environment.ts';
import { openMatchList } from '../lib/config/match-list.ts';
import { announcement, formatAttributes } from '../lib/ipc/attributes.ts';
import { PROTOCOLS } from '../lib/ipc/protocols.ts';
import { FatalError } from '../lib/log/fatal.ts';
import { lookupUser } from '../lib/os/identity.ts';
import { RECORD, RecordError } from '../lib/queue/record.ts';
import { RecordParser } from '../lib/queue/record-parser.ts';
import { RecordWriter } from '../lib/queue/record-writer.ts';
import { openTable } from '../lib/table/table.ts';
import { SubmissionRecords } from '../services/pickup/submission-records.ts';
import { runCommand, say } from './options/command.ts';
import { parseOptions } from './options/options.ts';
import { standardInput } from './options/standard-input.ts';
import { canUseMaildrop, openMaildrop } from './sendmail/maildrop.ts';
import type { SubmissionSink } from './sendmail/submission-sink.ts';

const NAME = 'postdrop';
const SYNTAX = { flags: 'c:rv', usage: 'postdrop [-c config_dir] [-v]' };

const uid = process.getuid?.() ?? 0;
const warn = (text: string) => say(NAME, `warning: ${text}`);

async function run(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv, SYNTAX);
  const directory = options.value('c');
  const configuration = loadConfiguration({
    processName: NAME,
    ...(directory === undefined ? {} : { directory }),
  });
  importEnvironment(configuration);
  const user = lookupUser(uid)?.name ?? 'unknown';
  const allowed = openMatchList(configuration, 'authorized_submit_users', (name) =>
    openTable(name, { configuration }),
  );
  if (!(await allowed.matchText(user)).matched) {
    throw new FatalError(`User ${user}(${uid}) is not allowed to submit mail`);
  }
  process.chdir(configuration.get('queue_directory'));
  if (!canUseMaildrop()) {
    throw new FatalError(`uid=${uid}: no right to write to maildrop: use sendmail`);
  }
  const sink = await openMaildrop(configuration, warn);
  try {
    process.stdout.write(announcement(PROTOCOLS.postdrop, ['queue_id', sink.queueId]));
    const status = await copyInput(sink, configuration.get('line_length_limit'));
    return status;
  } finally {
    sink.abort();
  }
}

/** @returns the exit status, which is cleanup's status */
async function copyInput(sink: SubmissionSink, lineLimit: number): Promise<number> {
  const parser = new RecordParser(lineLimit);
  const rules = new SubmissionRecords(lineLimit);
  const output = new RecordWriter();
  let wanted = true;
  for await (const chunk of standardInput()) {
    parser.push(chunk as Buffer);
    const ended = takeRecords(parser, rules, output);
    if (wanted) wanted = await sink.write(output.take());
    else output.take();
    if (ended) return reply(await conclude(sink, rules));
  }
  if (parser.rest > 0) {
    warn(`stdin: ${whatIsMissing(parser.takeRest())}`);
    throw new FatalError(`uid=${uid}: malformed input`);
  }
  // The program has changed its mind.
  return 0;
}

/** What a record lacks that the input ends in. */
function whatIsMissing(rest: Buffer): string {
  const [type, ...bytes] = rest;
  const last = bytes.findIndex((byte) => byte < 0x80);
  if (last < 0) return `unexpected EOF reading length, record type ${type}`;
  const length = bytes
    .slice(0, last + 1)
    .reduce((sum, byte, index) => sum + (byte & 0x7f) * 2 ** (index * 7), 0);
  return `unexpected EOF in data, record type ${type} length ${length}`;
}

async function conclude(sink: SubmissionSink, rules: SubmissionRecords) {
  if (rules.isWhole) return sink.finish();
  return { status: CLEANUP_STATUS.BAD, reason: '' };
}

function reply({ status, reason }: { status: number; reason: string }): number {
  process.stdout.write(
    formatAttributes([
      ['status', status],
      ['reason', reason],
    ]),
  );
  return status;
}

/** @returns whether the end record was among them */
function takeRecords(
  parser: RecordParser,
  rules: SubmissionRecords,
  output: RecordWriter,
): boolean {
  try {
    while (parser.next()) {
      const { type, bytes, start, end } = parser;
      const verdict = rules.judge(type, end - start, () => parser.text());
      if (verdict.kind === 'refuse') throw new FatalError(`uid=${uid}: ${verdict.why}`);
      if (verdict.kind === 'rewrite') output.record(RECORD.attribute, verdict.text);
      else if (verdict.kind !== 'skip') output.slice(type, bytes, start, end);
      else if (verdict.warning !== undefined) warn(`uid=${uid}: ${verdict.warning}`);
      if (verdict.kind === 'end') return true;
    }
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    warn(`stdin: ${error.message}`);
    throw new FatalError(`uid=${uid}: malformed input`);
  }
  return false;
}

void runCommand({ name: NAME, run });
