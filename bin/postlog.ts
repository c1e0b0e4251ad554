/** postlog(1): logs its arguments, or the lines of its standard input. */
import { createInterface } from 'node:readline';
import { loadConfiguration } from '../lib/config/configuration.ts';
import { importEnvironment } from '../lib/config/environment.ts';
import { FatalError } from '../lib/log/fatal.ts';
import { type Log, openLog } from '../lib/log/log.ts';
import { type ParsedOptions, parseOptions, UsageError } from './options/options.ts';
import { standardInput } from './options/standard-input.ts';

const SYNTAX = {
  flags: 'c:ip:t:v',
  usage: 'postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text]',
};

/** -p: it only chooses the word before the text. */
const PRIORITIES = {
  info: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  fatal: 'fatal',
  panic: 'panic',
} as const;

type Priority = (typeof PRIORITIES)[keyof typeof PRIORITIES];

/** Like Postfix before 3.8, it speaks to a terminal only: scripts read what it prints. */
const to = process.stderr.isTTY ? 'both' : 'log';
const program = 'postlog';
const label = `postfix/${program}`;

async function run(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, SYNTAX);
  if (options.has('c')) process.env['MAIL_CONFIG'] = options.value('c');
  const priority = priorityOf(options);
  const configuration = loadConfiguration({ processName: program });
  importEnvironment(configuration);
  const tag = options.value('t');
  const syslogName = configuration.text('syslog_name');
  const log = openLog({
    program,
    configuration,
    to,
    ...(tag === undefined ? { label: `${syslogName}/${program}` } : { tag, label: tag }),
  });
  if (options.operands.length > 0) log[priority](options.operands.join(' '));
  else await logInput(log, priority);
}

function priorityOf(options: ParsedOptions): Priority {
  const name = options.value('p') ?? 'info';
  if (Object.hasOwn(PRIORITIES, name)) return PRIORITIES[name as keyof typeof PRIORITIES];
  throw new FatalError(`bad severity: "${name}"`);
}

async function logInput(log: Log, priority: Priority): Promise<void> {
  const input = standardInput().setEncoding('utf8');
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    log[priority](line);
  }
}

run(process.argv.slice(2)).catch((error: Error) => {
  if (error instanceof UsageError && error.hint !== undefined) {
    process.stderr.write(`${program}: ${error.hint}\n`);
  }
  openLog({ program, to, label }).fatal(error.message);
  process.exitCode = 1;
});
