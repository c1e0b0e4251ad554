import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import type { Configuration } from '../../lib/config/configuration.ts';
import type { Log } from '../../lib/log/log.ts';
import { flock } from '../../lib/os/locks.ts';

/** What each verb of postfix(1) works with. */
export interface Administration {
  readonly configuration: Configuration;
  readonly log: Log;
  readonly verbose: number;
}

/** A program of the mail system itself. */
export function daemonPath({ configuration }: Administration, name: string): string {
  return `${configuration.get('daemon_directory')}/${name}`;
}

/** A command of the mail system. */
export function commandPath({ configuration }: Administration, name: string): string {
  return `${configuration.get('command_directory')}/${name}`;
}

/** Whether a master holds the lock of this instance. It falls with the process, however that ends. */
export function isRunning({ configuration }: Administration): boolean {
  const path = configuration.queuePath('pid/master.pid');
  if (!existsSync(path)) return false;
  const fd = openSync(path, 'r');
  try {
    return !flock(fd, 'exclusive');
  } finally {
    closeSync(fd);
  }
}

/** The pid of the running master. */
export function masterPid({ configuration }: Administration): number {
  const path = configuration.queuePath('pid/master.pid');
  const pid = Number(readFileSync(path, 'latin1').split('\n')[0]?.trim());
  if (!Number.isInteger(pid) || pid <= 1) throw new Error(`${path}: not a process id`);
  return pid;
}

/** The environment for programs that we start. */
export function environmentOf({ configuration }: Administration): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env, MAIL_CONFIG: configuration.directory };
  delete environment.NODE_EXTRA_CA_CERTS;
  return environment;
}
