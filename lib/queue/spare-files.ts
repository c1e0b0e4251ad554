/**
 * Queue files to be used again. ext4 looks for an inode that was not deleted in the last minutes, one
 * after the other: at a thousand messages a second that takes cleanup more time than all the rest of
 * its work. So a queue file may get a second name here, by which it outlives its message. When that
 * is gone, and nobody has the file open any more, another message is written to it, under a new id.
 *
 * Invariant: a file is emptied only while its name here is its only one.
 */
import {
  closeSync,
  fchmodSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { errorText, isErrno } from '../os/error.ts';
import { freeContent } from '../os/files.ts';
import { flock, isOpenOnceOnly } from '../os/locks.ts';
import { JOURNAL_FOLDER } from './journal-folder.ts';
import { QUEUE_FILE_MODE } from './queue-file.ts';

/** Each process has a folder in it, and a lock on that. */
export const SPARE_FOLDER = `${JOURNAL_FOLDER}/spare`;
/** More than are needed at a time only hold open what is gone. */
const FREE_MAX = 100;

/** A queue file with a second name. */
export interface SpareFile {
  readonly fd: number;
  readonly inode: number;
  /** Its name here. */
  readonly path: string;
}

export class SpareFiles {
  readonly #folder: string;
  readonly #warn: (text: string) => void;
  /** The open folder, which is locked. */
  #lock: number | undefined;
  #free: SpareFile[] = [];
  #isOut = false;

  /** @param family a name that no other process has */
  constructor(family: string, warn: (text: string) => void) {
    this.#folder = `${SPARE_FOLDER}/${family}`;
    this.#warn = warn;
  }

  /** Gives a queue file its second name. @returns undefined when it can't have one */
  adopt(fd: number, inode: number, path: string): SpareFile | undefined {
    if (this.#isOut) return undefined;
    const file = { fd, inode, path: `${this.#folder}/${inode}` };
    try {
      this.#lock ??= lockNewFolder(this.#folder);
      linkSync(path, file.path);
      return file;
    } catch (error) {
      this.#giveUp(error);
      return undefined;
    }
  }

  /** @returns a file as after `freeContent`, open and unfinished; its name here is its only one */
  take(): SpareFile | undefined {
    for (let file = this.#free.shift(); file !== undefined; file = this.#free.shift()) {
      try {
        if (hasOneName(file) === true && isOpenOnceOnly(file.fd)) {
          fchmodSync(file.fd, QUEUE_FILE_MODE.writing);
          freeContent(file.fd);
          return file;
        }
      } catch (error) {
        this.#giveUp(error);
      }
      this.#remove(file);
    }
    return undefined;
  }

  /** Nobody needs this one any more. */
  give(file: SpareFile): void {
    if (this.#isOut || this.#free.length >= FREE_MAX) this.#remove(file);
    else this.#free.push(file);
  }

  /** The file has only its name in the queue from now on, and is the caller's alone. */
  release(file: SpareFile): void {
    try {
      unlinkSync(file.path);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }

  /** Keeps none for later: what is left of a message is not to stay on the disk while nobody writes. */
  clear(): void {
    for (const file of this.#free.splice(0)) this.#remove(file);
  }

  /** Whatever is still adopted is for the next start to release. */
  close(): void {
    this.#isOut = true;
    this.clear();
    if (this.#lock === undefined) return;
    removeFolder(this.#folder);
    closeSync(this.#lock);
    this.#lock = undefined;
  }

  #remove(file: SpareFile): void {
    this.release(file);
    closeSync(file.fd);
  }

  /** A full disk passes. */
  #giveUp(error: unknown): void {
    if (isErrno(error, 'ENOSPC', 'EDQUOT')) return;
    this.#isOut = true;
    this.#warn(`queue files are not used again: ${errorText(error)}`);
  }
}

/** Whether the name here is the file's only one; undefined: it is not even that. */
export function hasOneName({ path, inode }: SpareFile): boolean | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.ino === inode ? stats.nlink === 1 : undefined;
}

/** What processes that are no more have left: their messages stay, their spare files go. */
export function removeAbandonedSpares(): void {
  for (const folder of foldersOfProcesses()) {
    const fd = openExisting(folder);
    if (fd === undefined) continue;
    try {
      if (!flock(fd, 'exclusive')) continue;
      for (const name of readdirSync(folder)) unlinkSync(`${folder}/${name}`);
      removeFolder(folder);
    } finally {
      closeSync(fd);
    }
  }
}

function foldersOfProcesses(): string[] {
  try {
    return readdirSync(SPARE_FOLDER).map((name) => `${SPARE_FOLDER}/${name}`);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Until it is locked it looks like one that a process has left behind: others may remove it. */
function lockNewFolder(folder: string): number {
  for (;;) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const fd = openExisting(folder);
    if (fd === undefined) continue;
    if (flock(fd, 'exclusive') && fstatSync(fd).nlink > 0) return fd;
    closeSync(fd);
  }
}

function removeFolder(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTEMPTY')) throw error;
  }
}

function openExisting(folder: string): number | undefined {
  try {
    return openSync(folder, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
