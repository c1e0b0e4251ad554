/** The locks that programs on one machine agree on before they touch a mailbox. Synchronous. */
import { closeSync, openSync, statSync, unlinkSync } from 'node:fs';
import { now } from '../clock/clock.ts';
import { isErrno } from '../os/error.ts';
import { fcntlLock, flock } from '../os/locks.ts';

/** mailbox_delivery_lock: which kinds of lock to take. */
export interface LockMethods {
  readonly fcntl: boolean;
  readonly flock: boolean;
  readonly dotlock: boolean;
}

/** `postconf -l` lists these. */
export const LOCK_METHODS = ['flock', 'fcntl', 'dotlock'] as const;

/** Parses mailbox_delivery_lock. @returns the word that is no method, when there is one */
export function parseLockMethods(words: readonly string[]): LockMethods | { unknown: string } {
  const unknown = words.find((word) => !LOCK_METHODS.some((method) => method === word));
  if (unknown !== undefined) return { unknown };
  return {
    fcntl: words.includes('fcntl'),
    flock: words.includes('flock'),
    dotlock: words.includes('dotlock'),
  };
}

/**
 * Makes `{path}.lock`, unless somebody else has made it less than `staleSeconds` ago.
 *
 * @returns false when somebody else holds it
 * @throws as open(2) when it can't be made
 */
export function takeDotLock(path: string, staleSeconds: number): boolean {
  const name = `${path}.lock`;
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      closeSync(openSync(name, 'wx', 0));
      return true;
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
    if (!removeStale(name, staleSeconds)) return false;
  }
  return false;
}

/** Gives it back. */
export function releaseDotLock(path: string): void {
  removeFile(`${path}.lock`);
}

/** Whoever left it there has died. */
function removeStale(name: string, staleSeconds: number): boolean {
  try {
    if (now() - statSync(name).ctimeMs < staleSeconds * 1000) return false;
    removeFile(name);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true;
    throw error;
  }
}

function removeFile(name: string): void {
  try {
    unlinkSync(name);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** Takes the kernel's locks; they end when the file is closed. @returns false when one is held */
export function takeFileLocks(fd: number, methods: LockMethods): boolean {
  if (methods.flock && !flock(fd, 'exclusive')) return false;
  return !methods.fcntl || fcntlLock(fd, 'exclusive');
}
