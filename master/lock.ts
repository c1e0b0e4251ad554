import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { FatalError } from '../lib/log/fatal.ts';
import { flock } from '../lib/os/locks.ts';

/** The process id, right-justified: 32 columns and a newline, as Postfix's scripts read it. */
const PID_COLUMNS = 32;

/**
 * Takes the exclusive lock that says "a master runs here". The file stays behind when master
 * ends; only the lock tells. The descriptor is never closed: the lock lives as long as we do.
 *
 * @throws {FatalError} when another process holds it, or the file cannot be made
 */
export function takeLock(path: string): number {
  const fd = openLockFile(path);
  if (!flock(fd, 'exclusive')) {
    closeSync(fd);
    throw new FatalError(
      `open lock file ${path}: unable to set exclusive lock: Resource temporarily unavailable`,
    );
  }
  return fd;
}

/** Writes our pid into a lock file that we hold. */
export function writePid(fd: number): void {
  writeSync(fd, `${String(process.pid).padStart(PID_COLUMNS)}\n`, 0);
}

/** Whether some process holds the lock; a lock file that does not exist is not held. */
export function isLocked(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new FatalError(`open lock file ${path}: ${(error as Error).message}`, { cause: error });
  }
  try {
    return !flock(fd, 'exclusive');
  } finally {
    closeSync(fd);
  }
}

function openLockFile(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    throw new FatalError(`open lock file ${path}: ${(error as Error).message}`, { cause: error });
  }
}
