/**
 * sendmail(1), and mailq(1) and newaliases(1): which of its many things it was asked to do.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type Configuration, loadConfiguration } from '../../lib/config/configuration.ts';
import { importEnvironment } from '../../lib/config/environment.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { openLog } from '../../lib/log/log.ts';
import { rebuildAliases } from '../../lib/table/aliases-file.ts';
import { say } from '../options/command.ts';
import { enqueue } from './enqueue.ts';
import { parseRequest, type Request } from './request.ts';

/** @param name how the program was called */
export async function runSendmail(name: string, argv: readonly string[]): Promise<number> {
  const request = parseRequest(name, argv);
  for (const warning of request.warnings) say(name, `warning: ${warning}`);
  if (request.directory !== undefined) process.env['MAIL_CONFIG'] = request.directory;
  const configuration = loadConfiguration({ processName: name });
  importEnvironment(configuration);
  switch (request.mode) {
    case 'deliver':
      enterQueue(configuration);
      await enqueue(request, configuration, {
        warn: (text) => process.stderr.write(`${text}\n`),
        print: (text) => process.stdout.write(text),
      });
      return 0;
    case 'mailq':
      return runOther(configuration, 'postqueue', ['-p']);
    case 'flush':
      return runOther(configuration, 'postqueue', ['-f']);
    case 'flush-site':
      return runOther(configuration, 'postqueue', ['-s', request.what]);
    case 'flush-message':
      return runOther(configuration, 'postqueue', ['-i', request.what]);
    case 'daemon':
      return runOther(configuration, 'postfix', ['start']);
    case 'stand-alone':
      return standAlone(configuration);
    case 'nothing':
      return 0;
    case 'newaliases':
      newaliases(name, request, configuration);
      return 0;
  }
}

/** Programs call sendmail, and nobody sees what it says: it is in the mail log, too. */
export function logTrouble(program: string, text: string): void {
  try {
    const configuration = loadConfiguration({ processName: program });
    openLog({ program, configuration, to: 'log' }).fatal(text);
  } catch {
    // Without a configuration there is no log; the terminal has been told.
  }
}

function enterQueue(configuration: Configuration): void {
  const directory = configuration.get('queue_directory');
  try {
    process.chdir(directory);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = missing ? 'No such file or directory' : (error as Error).message;
    throw new FatalError(`chdir ${directory}: ${why}`);
  }
}

/** Another command of ours takes over: same terminal, its exit status is ours. */
function runOther(configuration: Configuration, program: string, args: readonly string[]): number {
  return run(join(configuration.get('command_directory'), program), args);
}

/** -bs: SMTP on standard input and output. */
function standAlone(configuration: Configuration): number {
  enterQueue(configuration);
  return run(join(configuration.get('daemon_directory'), 'smtpd'), ['-S']);
}

function run(path: string, args: readonly string[]): number {
  const { status, signal, error } = spawnSync(path, args, { stdio: 'inherit' });
  if (error !== undefined) throw new FatalError(`unable to execute ${path}: ${error.message}`);
  if (signal !== null) throw new FatalError(`${path} was ended by ${signal}`);
  return status ?? 1;
}

function newaliases(name: string, request: Request, configuration: Configuration): void {
  const log = openLog({ program: name, configuration, to: 'both' });
  rebuildAliases(configuration, log, request.aliasFile);
}
