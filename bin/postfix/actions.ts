import { spawn, spawnSync } from 'node:child_process';
import { existsSync, unlinkSync, writeFileSync } from 'node:fs';
import { sleep } from '../../lib/clock/clock.ts';
import {
  type Administration,
  commandPath,
  daemonPath,
  environmentOf,
  isRunning,
  masterPid,
} from './administration.ts';
import { checkConfiguration, checkFatal, checkWarnings } from './check.ts';
import { settleJournal } from './journal.ts';

/** `stop` waits this long for the mail system to end, then it uses force. */
const STOP_TRIES = 50;
const STOP_STEP_MS = 100;
/** Postfix says once a second that it is still waiting. */
const STEPS_PER_MESSAGE = 10;

/** `postfix start`: checks, then starts master and waits until it is up. */
export function start(administration: Administration): number {
  const refusal = prepareStart(administration);
  if (refusal !== undefined) return refusal;
  const { log } = administration;
  log.info('starting the Postfix mail system');
  log.flush();
  const { status } = spawnSync(
    daemonPath(administration, 'master'),
    ['-w', ...verbosity(administration)],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: environmentOf(administration),
    },
  );
  if (status === 0) return 0;
  log.fatal('mail system startup failed');
  return 1;
}

/** `postfix start-fg`: the same, with master as our child until it ends. */
export async function startForeground(administration: Administration): Promise<number> {
  const refusal = prepareStart(administration);
  if (refusal !== undefined) return refusal;
  administration.log.info('starting the Postfix mail system');
  administration.log.flush();
  const mode = process.pid === 1 ? '-i' : '-s';
  const child = spawn(daemonPath(administration, 'master'), [mode, ...verbosity(administration)], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: environmentOf(administration),
  });
  const forward = (signal: NodeJS.Signals) => child.kill(signal === 'SIGINT' ? 'SIGTERM' : signal);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, forward);
  const status = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(signal === 'SIGTERM' ? 0 : (code ?? 1)));
  });
  settleJournal(administration);
  return status;
}

/** `postfix stop`: asks master to end, and insists after five seconds. */
export async function stop(administration: Administration): Promise<number> {
  if (!requireRunning(administration)) return 1;
  await end(administration);
  settleJournal(administration);
  return 0;
}

async function end(administration: Administration): Promise<void> {
  const { log } = administration;
  log.info('stopping the Postfix mail system');
  const pid = masterPid(administration);
  process.kill(pid, 'SIGTERM');
  for (let step = 1; step <= STOP_TRIES; step += 1) {
    await sleep(STOP_STEP_MS);
    if (!isRunning(administration)) return;
    if (step % STEPS_PER_MESSAGE === 0) {
      log.info('waiting for the Postfix mail system to terminate');
    }
  }
  log.warn('stopping the Postfix mail system with force');
  killGroup(pid);
}

/** `postfix drain`: master ends at once, each daemon when it is done with what it has. */
export function drain(administration: Administration): number {
  if (!requireRunning(administration)) return 1;
  administration.log.info('stopping the Postfix mail system');
  process.kill(masterPid(administration), 'SIGKILL');
  return 0;
}

/** `postfix quick-stop`: as stop; the next start checks nothing. For a machine that boots again. */
export async function quickStop(administration: Administration): Promise<number> {
  await stop(administration);
  writeFileSync(quickStartMark(administration), '');
  return 0;
}

function quickStartMark({ configuration }: Administration): string {
  return configuration.queuePath('quick-start');
}

/** `postfix abort`: as stop, without waiting. */
export function abort(administration: Administration): number {
  if (!requireRunning(administration)) return 1;
  administration.log.info('aborting the Postfix mail system');
  process.kill(masterPid(administration), 'SIGTERM');
  return 0;
}

/** `postfix reload`: new configuration for all, if it can be read; the busy finish first. */
export function reload(administration: Administration): number {
  if (!requireRunning(administration)) return 1;
  if (!checkConfiguration(administration)) return 1;
  administration.log.info('refreshing the Postfix mail system');
  process.kill(masterPid(administration), 'SIGHUP');
  return 0;
}

/** `postfix flush`: tries to deliver everything that waits. */
export function flush(administration: Administration): number {
  const { status } = spawnSync(commandPath(administration, 'postqueue'), ['-f'], {
    stdio: 'inherit',
    env: environmentOf(administration),
  });
  return status ?? 1;
}

/** `postfix status`: 0 and the pid when it runs, else 1. */
export function status(administration: Administration): number {
  const { log } = administration;
  if (!isRunning(administration)) {
    log.info('the Postfix mail system is not running');
    return 1;
  }
  log.info(`the Postfix mail system is running: PID: ${masterPid(administration)}`);
  return 0;
}

/** What start and start-fg do first. Returns the exit status when there is nothing to start. */
function prepareStart(administration: Administration): number | undefined {
  const { log } = administration;
  if (isRunning(administration)) {
    log.fatal('the Postfix mail system is already running');
    return 1;
  }
  if (existsSync(quickStartMark(administration))) {
    unlinkSync(quickStartMark(administration));
    return undefined;
  }
  if (!checkFatal(administration)) {
    log.fatal('Postfix integrity check failed!');
    return 1;
  }
  checkWarnings(administration);
  return undefined;
}

function requireRunning(administration: Administration): boolean {
  if (isRunning(administration)) return true;
  administration.log.fatal('the Postfix mail system is not running');
  return false;
}

function verbosity({ verbose }: Administration): string[] {
  return Array<string>(verbose).fill('-v');
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has gone in the meantime.
  }
}
