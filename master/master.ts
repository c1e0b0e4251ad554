/**
 * master(8): the process that starts all others.
 *
 * It reads main.cf and master.cf, opens every socket of the mail system, and hands them to the
 * daemons that it starts. It knows no mail. The sequence below is Postfix's (ipc.md 1.2), since
 * scripts look at its traces: the pid file and its lock, the exit status, the log lines.
 */
import { spawn } from 'node:child_process';
import { closeSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { chdir, kill, pid } from 'node:process';
import { after } from '../lib/clock/clock.ts';
import { isLevelBelow, OLD_DEFAULT } from '../lib/config/compatibility.ts';
import { type Configuration, loadConfiguration } from '../lib/config/configuration.ts';
import {
  MASTER_FIELDS,
  type MasterEntry,
  parseMasterCf,
  serviceTrouble,
} from '../lib/config/master-cf.ts';
import { ConfigError } from '../lib/config/source.ts';
import { FatalError } from '../lib/log/fatal.ts';
import { type Log, openLog } from '../lib/log/log.ts';
import { closeOnExecAll } from '../lib/os/descriptors.ts';
import { withEffectiveUser } from '../lib/os/identity.ts';
import { becomeSessionLeader } from '../lib/os/session.ts';
import { pipe } from '../lib/os/sockets.ts';
import { disabledServices } from './disabled-services.ts';
import { isLocked, takeLock, writePid } from './lock.ts';
import { type MasterOptions, parseMasterOptions } from './options.ts';
import { Supervisor } from './supervisor.ts';

const CHROOT_COLUMN = MASTER_FIELDS.indexOf('chroot');
const PID_FILE = 'pid/master.pid';
const DATA_LOCK = 'master.lock';
/** `-w`: a mail system that is not up by then did not come up. */
const START_LIMIT_MS = 100_000;
/** After the first signal, daemons that ignore it have this long. */
const KILL_AFTER_MS = 5000;
/** After standard input, output and error. */
const FIRST_OWN_FD = 3;
/** How the waiting parent tells its child which descriptor to report on. */
const READY_VARIABLE = 'POSTHASTE_READY_FD';

/** Runs master from the command line; it returns only when it failed to start. */
export function runMaster(argv: readonly string[]): void {
  let log: Log | undefined;
  try {
    const options = parseMasterOptions(argv);
    if (options.configDirectory) process.env.MAIL_CONFIG = options.configDirectory;
    process.umask(0o077);
    const configuration = loadConfiguration({ processName: 'master' });
    chdir(configuration.get('queue_directory'));
    if (options.testLock) process.exit(isLocked(PID_FILE) ? 1 : 0);
    log = openLog({ program: 'master', configuration });
    if (options.wait) startAndWait(argv, log);
    else supervise(configuration, options, log);
  } catch (error) {
    fail(error, log);
  }
}

/** Logs why, and ends: every fatal error of master exits 1. */
function fail(error: unknown, log: Log | undefined): never {
  const text = error instanceof Error ? error.message : String(error);
  if (log === undefined) process.stderr.write(`master: fatal: ${text}\n`);
  else log.fatal(text);
  log?.flush();
  process.exit(1);
}

/** `-w`: starts another master in a session of its own, and ends when that one is up. */
function startAndWait(argv: readonly string[], log: Log): void {
  const [program = '', script = ''] = process.argv;
  const rest = argv.map((word) => (/^-[a-z]*w/.test(word) ? word.replace('w', '') : word));
  const child = spawn(program, [script, ...rest.filter((word) => word !== '-')], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    env: { ...process.env, [READY_VARIABLE]: '3' },
  });
  const limit = after(START_LIMIT_MS, () => {
    child.kill('SIGKILL');
    fail(new FatalError('daemon initialization timeout -- see logs for details'), log);
  });
  const ready = child.stdio[3];
  let up = false;
  ready?.on('data', () => {
    up = true;
    process.exit(0);
  });
  ready?.on('close', () => {
    limit.stop();
    if (!up) fail(new FatalError('daemon initialization failure -- see logs for details'), log);
  });
}

function supervise(configuration: Configuration, options: MasterOptions, log: Log): void {
  // Signals go to our process group, so we lead one; a shell may have made us its leader already.
  becomeSessionLeader();
  // What we were started with is nobody's business further down, least of all a user's command's.
  closeOnExecAll(FIRST_OWN_FD);
  takeLocks(configuration);
  const supervisor = new Supervisor(configuration, {
    log,
    debug: options.debug,
    verbose: options.verbose,
    keepOutput: options.foreground || options.debug,
    flow: pipe(),
    wakeups: true,
  });
  const { entries, notes } = readServices(configuration);
  for (const note of notes) log.info(note);
  const isUp = supervisor.configure(configuration, entries);
  supervisor.run().catch((error: unknown) => fail(error, log));
  isUp.then(
    () => announce(configuration, options, supervisor, log),
    (error: unknown) => fail(error, log),
  );
}

/** All sockets are open: whoever waits for us may go on. */
function announce(
  configuration: Configuration,
  options: MasterOptions,
  supervisor: Supervisor,
  log: Log,
): void {
  process.on('SIGHUP', () => void reload(configuration, supervisor, log));
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
    process.once(signal, () => terminate(signal, supervisor, log));
  }
  if (options.exitAfterSeconds !== undefined) {
    after(options.exitAfterSeconds * 1000, () => process.exit(0));
  }
  log.info(`daemon started -- version ${describe(configuration)}`);
  if (process.getuid?.() !== 0) {
    log.info(
      `running without privileges, as uid ${process.getuid?.()}: all daemons run as this user, ` +
        'and the unpriv and chroot columns of master.cf have no effect',
    );
  }
  log.flush();
  reportReady();
}

function takeLocks(configuration: Configuration): void {
  const pidLock = takeLock(PID_FILE);
  writePid(pidLock);
  const dataLock = join(configuration.get('data_directory'), DATA_LOCK);
  const lock = () => writePid(takeLock(dataLock));
  if (process.getuid?.() === 0) withEffectiveUser(configuration.get('mail_owner'), lock);
  else lock();
}

interface Services {
  readonly entries: readonly MasterEntry[];
  /** For the log, once it is known that they will do. */
  readonly notes: readonly string[];
}

function readServices(configuration: Configuration): Services {
  const isDisabled = disabledServices(configuration.get('master_service_disable'));
  const path = join(configuration.directory, 'master.cf');
  const all = parseMasterCf(readFileSync(path, 'utf8'), path);
  const enabled = all.filter((entry) => !isDisabled(entry));
  // Before level 1, a daemon is chrooted unless its line says no.
  const isOld = isLevelBelow(configuration, '1');
  const isDefault = ({ columns }: MasterEntry) => columns[CHROOT_COLUMN] === '-';
  const entries = enabled.map((entry) =>
    isOld && isDefault(entry) ? { ...entry, chroot: true } : entry,
  );
  const notes = enabled
    .filter((entry) => isOld && isDefault(entry))
    .map(({ origin }) => `${path}: line ${origin.line}: ${OLD_DEFAULT} chroot=y`);
  for (const entry of entries) {
    const trouble = serviceTrouble(entry);
    if (trouble !== undefined) {
      throw new ConfigError(`${path}: line ${entry.origin.line}: ${trouble}`);
    }
  }
  return { entries, notes };
}

/** What is wrong with the new configuration is said; then the running system goes on as it was. */
async function reload(started: Configuration, supervisor: Supervisor, log: Log): Promise<void> {
  // `postfix logrotate`: the next line belongs in the new file.
  log.reopen();
  try {
    const configuration = loadConfiguration({
      directory: started.directory,
      processName: 'master',
    });
    const { entries, notes } = readServices(configuration);
    warnAboutFixedParameters(started, configuration, log);
    log.info(`reload -- version ${describe(configuration)}`);
    for (const note of notes) log.info(note);
    await supervisor.configure(configuration, entries);
  } catch (error) {
    log.error(`reload failed, the running mail system is unchanged: ${(error as Error).message}`);
  }
}

/** They decide what was opened at start, and can't follow. */
const FIXED_PARAMETERS = [
  'inet_interfaces',
  'inet_protocols',
  'queue_directory',
  'config_directory',
  'data_directory',
  'mail_owner',
] as const;

function warnAboutFixedParameters(before: Configuration, now: Configuration, log: Log): void {
  for (const name of FIXED_PARAMETERS) {
    if (before.get(name) === now.get(name)) continue;
    log.warn(`ignoring ${name} parameter value change`);
    log.warn(`old value: "${before.get(name)}", new value: "${now.get(name)}"`);
    log.warn(`to change ${name}, stop and start Postfix`);
  }
}

/** Takes everybody in our process group along, and dies of the signal itself. */
function terminate(signal: NodeJS.Signals, supervisor: Supervisor, log: Log): void {
  const number = { SIGTERM: 15, SIGINT: 2, SIGQUIT: 3 }[signal as 'SIGTERM'] ?? 15;
  log.info(`terminating on signal ${number}`);
  log.flush();
  supervisor.stop();
  // Ourselves included, and we must stay a moment to see that all are gone.
  process.on('SIGTERM', () => {});
  try {
    kill(-pid, 'SIGTERM');
  } catch {
    // We do not lead a group: nothing was started yet.
  }
  supervisor.dismiss();
  after(KILL_AFTER_MS, () => {
    try {
      kill(-pid, 'SIGKILL');
    } catch {
      process.exit(1);
    }
  }).unref();
  supervisor.whenIdle().then(
    () => {
      process.removeAllListeners(signal);
      kill(pid, signal);
    },
    () => process.exit(1),
  );
}

function reportReady(): void {
  const fd = Number(process.env[READY_VARIABLE]);
  delete process.env[READY_VARIABLE];
  if (!(fd > 2)) return;
  writeSync(fd, 'R');
  closeSync(fd);
}

function describe(configuration: Configuration): string {
  return `${configuration.get('mail_version')}, configuration ${configuration.directory}`;
}
