/** Opening a file that belongs to a recipient, who may have prepared a surprise. Synchronous. */
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lstatSync,
  openSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { isErrno } from '../os/error.ts';

/** The file is not one we write to; the message says why. */
export class UnsafeFileError extends Error {
  override readonly name = 'UnsafeFileError';
}

export interface OpenedFile {
  readonly fd: number;
  readonly stats: Stats;
}

/** A file that comes and goes while we look is not worth more. */
const ATTEMPTS = 5;

const { O_APPEND, O_CREAT, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
/** Never wait: it may turn out to be a FIFO or a terminal. */
const APPEND = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY;

/**
 * Opens a file to append to it, or makes one (mode 0600, for `owner`). A file of several links is
 * refused: it may be somebody else's file under a second name; so is a symbolic link, unless root
 * made it where nobody else can. Postfix: safe_open(3).
 *
 * @param owner for a file that root makes for somebody
 * @throws {UnsafeFileError}
 * @throws as open(2)
 */
export function safeOpen(path: string, owner?: { uid: number; gid: number }): OpenedFile {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return openExisting(path);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
    try {
      return create(path, owner);
    } catch (error) {
      // A link that leads nowhere is there and is not there, for ever.
      if (!isErrno(error, 'EEXIST', 'ELOOP') || attempt === ATTEMPTS) throw error;
    }
  }
}

function openExisting(path: string): OpenedFile {
  const fd = openSync(path, APPEND);
  try {
    const stats = fstatSync(fd);
    check(path, stats, lstatSync(path));
    return { fd, stats };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function check(path: string, opened: Stats, named: Stats): void {
  if (opened.isFile() && opened.nlink !== 1) {
    throw new UnsafeFileError(`file has ${opened.nlink} hard links`);
  }
  if (named.isSymbolicLink()) {
    checkLink(path, named);
  } else if (
    opened.dev !== named.dev ||
    opened.ino !== named.ino ||
    opened.nlink !== named.nlink ||
    opened.mode !== named.mode
  ) {
    throw new UnsafeFileError('file status changed unexpectedly');
  }
}

/** Root may have moved a mailbox to another disk. */
function checkLink(path: string, link: Stats): void {
  if (link.uid !== 0) throw new UnsafeFileError('file is a symbolic link');
  const parent = statSync(dirname(path));
  if (parent.uid !== 0 || (parent.mode & (constants.S_IWGRP | constants.S_IWOTH)) !== 0) {
    throw new UnsafeFileError('file is a symbolic link in a directory that others can write to');
  }
}

function create(path: string, owner?: { uid: number; gid: number }): OpenedFile {
  const fd = openSync(path, APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
    return { fd, stats: fstatSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
