/** Advisory locks on open files: flock(2) and fcntl(2). */
import { constants } from 'node:os';
import { OsError } from './error.ts';
import { declare, lastError, nameOf } from './native.ts';

export type LockMode = 'shared' | 'exclusive' | 'unlock';

export interface LockOptions {
  /** Wait until the lock is free. It stops the whole thread: not on an event loop. */
  readonly wait?: boolean;
}

const flockCall = declare('int flock(int fd, int operation)');
const FLOCK = { shared: 1, exclusive: 2, unlock: 8 } as const;
const LOCK_NB = 4;

/**
 * Locks an open file the BSD way.
 *
 * @returns false when another holds it
 * @throws {OsError} when it can't be locked at all
 */
export function flock(fd: number, mode: LockMode, options: LockOptions = {}): boolean {
  const operation = FLOCK[mode] | (options.wait ? 0 : LOCK_NB);
  return taken(() => flockCall(fd, operation), 'flock', fd);
}

const fcntlCall = declare('int fcntl(int fd, int command, void *lock)');
const FCNTL = { shared: 0, exclusive: 1, unlock: 2 } as const;
const F_OFD_SETLK = 37;
const F_OFD_SETLKW = 38;
const LOCK_BYTES = 32;

/**
 * Locks a whole open file the POSIX way. The lock belongs to the open file, not to the process
 * (`F_OFD_SETLK`): classic POSIX locks of others meet it all the same, but two threads of ours
 * exclude each other, and closing another descriptor of the file does not lose it.
 *
 * @returns false when another holds it
 */
export function fcntlLock(fd: number, mode: LockMode, options: LockOptions = {}): boolean {
  // struct flock: type, origin, start, length (0 is to the end), process id (0 for this kind).
  const lock = Buffer.alloc(LOCK_BYTES);
  lock.writeInt16LE(FCNTL[mode], 0);
  const command = options.wait ? F_OFD_SETLKW : F_OFD_SETLK;
  return taken(() => fcntlCall(fd, command, lock), 'fcntl', fd);
}

const fcntlNumberCall = declare('int fcntl(int fd, int command, int argument)');
const F_SETSIG = 10;
const F_SETLEASE = 1024;

/**
 * Whether nobody else has a file open that is open here once. It is asked for a write lease, which
 * fcntl(2) has only for those, and the owner of the file.
 *
 * @throws {OsError} when its file system knows no leases
 */
export function isOpenOnceOnly(fd: number): boolean {
  // Whoever opens it while there is a lease waits, and has a signal sent: not one that ends us.
  if (fcntlNumberCall(fd, F_SETSIG, constants.signals.SIGURG) < 0) throw leaseError(fd);
  if (fcntlNumberCall(fd, F_SETLEASE, FCNTL.exclusive) < 0) {
    if (nameOf(lastError()) === 'EAGAIN') return false;
    throw leaseError(fd);
  }
  if (fcntlNumberCall(fd, F_SETLEASE, FCNTL.unlock) < 0) throw leaseError(fd);
  return true;
}

function leaseError(fd: number): OsError {
  return new OsError('fcntl lease', fd, lastError());
}

function taken(lock: () => number, call: string, fd: number): boolean {
  for (;;) {
    if (lock() >= 0) return true;
    const errno = lastError();
    const code = nameOf(errno);
    if (code === 'EAGAIN' || code === 'EACCES') return false;
    if (code !== 'EINTR') throw new OsError(`${call} lock`, fd, errno);
  }
}
