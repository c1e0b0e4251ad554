/**
 * postfix(1): starts, stops and checks the mail system.
 *
 * Real Postfix hands over to a shell script, `postfix-script`; here the verbs are functions, and
 * the log lines still carry that script's name, because log readers look for it.
 */
import { statSync } from 'node:fs';
import { chdir } from 'node:process';
import { isLevelBelow } from '../../lib/config/compatibility.ts';
import {
  ConfigError,
  type Configuration,
  loadConfiguration,
} from '../../lib/config/configuration.ts';
import { importEnvironment } from '../../lib/config/environment.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { openLog } from '../../lib/log/log.ts';
import { parseOptions, type UsageError } from '../options/options.ts';
import {
  abort,
  drain,
  flush,
  quickStop,
  reload,
  start,
  startForeground,
  status,
  stop,
} from './actions.ts';
import type { Administration } from './administration.ts';
import { check } from './check.ts';
import { logrotate } from './logrotate.ts';
import { tls } from './tls.ts';
import { setPermissions, upgradeConfiguration } from './upgrade.ts';

const USAGE = 'postfix [-c config_dir] [-Dv] command';

const TAKES_WORDS = new Set(['logrotate', 'tls']);

type Verb = (administration: Administration) => Promise<number> | number;

const VERBS: Readonly<Record<string, Verb>> = {
  start,
  'start-fg': startForeground,
  stop,
  drain,
  'quick-stop': quickStop,
  abort,
  reload,
  logrotate,
  flush,
  status,
  check,
  'set-permissions': setPermissions,
  'upgrade-configuration': upgradeConfiguration,
};

/** Runs the command; the process ends with its exit status. */
export function runPostfix(argv: readonly string[]): void {
  run(argv).then(
    (code) => process.exit(code),
    (error: unknown) => {
      // A part of the program that is a bundle of its own has a class of its own, too.
      const { hint } = error as Partial<UsageError>;
      if (hint !== undefined) process.stderr.write(`postfix: ${hint}\n`);
      process.stderr.write(`postfix: fatal: ${(error as Error).message}\n`);
      process.exit(1);
    },
  );
}

async function run(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv, { flags: 'c:Dv', usage: USAGE });
  if (options.has('D')) {
    throw new FatalError('option -D (debugger_command) is not built in Posthaste');
  }
  const [verb, ...rest] = options.operands;
  const directory = options.value('c');
  const verbose = options.count('v');
  if (verb === 'explain') return (await import('./explain.ts')).explain(rest, directory);
  if (verb === undefined || (rest.length > 0 && !TAKES_WORDS.has(verb))) {
    throw new FatalError(`usage: ${USAGE}`);
  }
  if (directory !== undefined && !directory.startsWith('/')) {
    throw new FatalError(`-c requires absolute pathname: ${directory}`);
  }
  if (directory !== undefined) process.env.MAIL_CONFIG = directory;
  const configuration = loadConfiguration({ directory, processName: 'postfix' });
  importEnvironment(configuration);
  refuseStrangers(configuration);
  const log = openLog({
    program: 'postfix-script',
    configuration,
    to: 'both',
    label: 'postfix/postfix-script',
  });
  const action: Verb | undefined =
    verb === 'tls' ? (administration) => tls(administration, rest) : VERBS[verb];
  if (action === undefined) {
    log.fatal(
      `unknown command: '${verb}'. Usage: postfix start (or stop, reload, abort, flush, check, status, set-permissions, upgrade-configuration, logrotate)`,
    );
    log.flush();
    return 1;
  }
  if (rest.length > 0 && verb !== 'tls') {
    log.fatal(`usage postfix ${verb} (no arguments)`);
    log.flush();
    return 1;
  }
  chdir('/');
  if (LEVEL_MATTERS.has(verb)) adviseOnLevel(configuration);
  try {
    return await action({ configuration, log, verbose });
  } catch (error) {
    log.fatal((error as Error).message);
    return 1;
  } finally {
    log.flush();
  }
}

/** The last level at which a default changed, and the verbs that speak of it. */
const LAST_CHANGE = '3.6';
const LEVEL_MATTERS = new Set(['start', 'start-fg', 'reload', 'check']);

/** Old defaults are in use: three lines of Postfix's. A level that is none is found by the check. */
function adviseOnLevel(configuration: Configuration): void {
  let isOld: boolean;
  try {
    isOld = isLevelBelow(configuration, LAST_CHANGE);
  } catch (error) {
    if (error instanceof ConfigError) return;
    throw error;
  }
  if (!isOld) return;
  // Not in the name of syslog_name: Postfix's log readers know this tag.
  const log = openLog({ program: 'postfix', configuration, to: 'both', tag: 'postfix' });
  log.info('Postfix is using backwards-compatible default settings');
  log.info('See http://www.postfix.org/COMPATIBILITY_README.html for details');
  log.info(
    `To disable backwards compatibility use "postconf compatibility_level=${LAST_CHANGE}" ` +
      'and "postfix reload"',
  );
  log.flush();
}

/**
 * The system's own mail is root's business. A private instance belongs to whoever owns its
 * queue: that user may run it, as that user.
 */
function refuseStrangers(configuration: Configuration): void {
  const uid = process.getuid?.();
  if (uid === 0 || ownsQueue(configuration, uid)) return;
  process.stderr.write(
    'postfix: error: to submit mail, use the Postfix sendmail command\n' +
      `postfix: error: ${configuration.get('queue_directory')} does not belong to you (uid ${uid})\n`,
  );
  throw new FatalError('the postfix command is reserved for the superuser');
}

function ownsQueue(configuration: Configuration, uid: number | undefined): boolean {
  const stat = statSync(configuration.get('queue_directory'), { throwIfNoEntry: false });
  return stat !== undefined && stat.uid === uid;
}
