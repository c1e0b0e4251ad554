/** Making a queue file: cleanup for incoming and hold, the submission side for maildrop. */
import {
  closeSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  open,
  openSync,
  renameSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs';
import { Gate } from '../async/gate.ts';
import { nowMicroseconds, type WallTime } from '../clock/clock.ts';
import { isErrno } from '../os/error.ts';
import { commit } from './commit.ts';
import type { Journal } from './journal.ts';
import { QUEUE_FILE_MODE } from './queue-file.ts';
import { makeQueueId, type QueueId } from './queue-id.ts';
import { type Hashing, type QueueName, queueFolder, queuePath } from './queue-path.ts';
import type { SpareFile } from './spare-files.ts';

export interface NewFileOptions {
  /** enable_long_queue_ids. */
  readonly long: boolean;
  readonly hashing: Hashing;
  /** While it is written: 0600; in maildrop 0644. */
  readonly mode?: number;
  /** The queue directory, when that is not the working directory. */
  readonly directory?: string;
  /** What brings messages to stable storage together. */
  readonly journal?: Journal | undefined;
}

/** Trouble such as a full disk may pass: Postfix too waits 10 s between attempts. */
const ATTEMPTS_MAX = 1000;
/** The first pieces of a message go to the page cache at once; a long one lets others go on. */
const SYNC_BYTES_MAX = 256 * 1024;

/**
 * Makes an empty queue file and its id. It is no message until `commit`.
 *
 * @throws as `open(2)`: the disk is full, or no directory
 */
export async function createQueueFile(
  queue: QueueName,
  options: NewFileOptions,
): Promise<NewQueueFile> {
  const base = options.directory === undefined ? '' : `${options.directory}/`;
  const spare = options.journal?.takeSpare();
  if (spare !== undefined) return useAgain(spare, base, queue, options);
  const mode = options.mode ?? QUEUE_FILE_MODE.writing;
  const { fd, temporary } =
    options.journal === undefined
      ? await lane.through(() => openTemporary(`${base}${queue}`, mode, openLater))
      : await openTemporary(`${base}${queue}`, mode, openSync);
  try {
    const inode = fstatSync(fd).ino;
    const name = (path: string) => renameSync(temporary, path);
    const named = nameFile(inode, name, base, queue, options);
    const adopted = options.journal?.adopt(fd, inode, named.path);
    return new NewQueueFile(fd, named, base, options, adopted);
  } catch (error) {
    closeSync(fd);
    unlinkQuietly(temporary);
    throw error;
  }
}

function useAgain(
  spare: SpareFile,
  base: string,
  queue: QueueName,
  options: NewFileOptions,
): NewQueueFile {
  try {
    const name = (path: string) => linkSync(spare.path, path);
    const named = nameFile(spare.inode, name, base, queue, options);
    return new NewQueueFile(spare.fd, named, base, options, spare);
  } catch (error) {
    closeSync(spare.fd);
    options.journal?.release(spare);
    throw error;
  }
}

/**
 * One file at a time: those who change the same directory wait for each other anyway, and in the
 * kernel they do so spinning.
 */
const lane = new Gate(1);

type Open = (path: string, flags: string, mode: number) => Promise<number> | number;

/** The dot in its name keeps a temporary file from being a message. */
async function openTemporary(folder: string, mode: number, openFile: Open) {
  for (let attempt = 1; ; attempt += 1) {
    const temporary = `${folder}/${nowMicroseconds().microseconds}.${process.pid}`;
    try {
      return { fd: await openFile(temporary, 'wx+', mode), temporary };
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !isErrno(error, 'EEXIST', 'EISDIR')) throw error;
    }
  }
}

/**
 * Where each message is synced, to make a file is to wait for the file system's own journal, now and
 * then for as long as it takes to write it: others go on meanwhile.
 */
function openLater(path: string, flags: string, mode: number): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, mode, (error, fd) => (error === null ? resolve(fd) : reject(error)));
  });
}

/** A queue file's id and name. */
interface Named extends Pick<NewQueueFile, 'id' | 'time' | 'path'> {}

/** @param name gives the file this name */
function nameFile(
  inode: number,
  name: (path: string) => void,
  base: string,
  queue: QueueName,
  options: NewFileOptions,
): Named {
  for (let attempt = 1; ; attempt += 1) {
    const time = nowMicroseconds();
    const id = makeQueueId({ ...time, inode }, options.long);
    const path = base + queuePath(queue, id, options.hashing);
    try {
      name(path);
      return { id, time, path };
    } catch (error) {
      if (isErrno(error, 'ENOENT')) makeFolder(base + queueFolder(queue, id, options.hashing));
      else if (!isErrno(error, 'EPERM', 'EISDIR', 'EEXIST')) throw error;
      if (attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

function makeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** A queue file that is being written. Ends with `commit` or `discard`. */
export class NewQueueFile {
  readonly fd: number;
  readonly id: QueueId;
  /** The moment that is in the id: a generated Message-ID carries it too. */
  readonly time: WallTime;
  /** Bytes written by `write` so far. */
  sizeBytes = 0;
  #path: string;
  readonly #base: string;
  readonly #hashing: Hashing;
  readonly #journal: Journal | undefined;
  readonly #spare: SpareFile | undefined;
  /** All that was written, when that was one piece. */
  #whole: Buffer | undefined;
  #open = true;

  constructor(
    fd: number,
    { id, time, path }: Named,
    base: string,
    { hashing, journal }: Pick<NewFileOptions, 'hashing' | 'journal'>,
    spare: SpareFile | undefined,
  ) {
    this.fd = fd;
    this.id = id;
    this.time = time;
    this.#path = path;
    this.#base = base;
    this.#hashing = hashing;
    this.#journal = journal;
    this.#spare = spare;
  }

  get path(): string {
    return this.#path;
  }

  /** Appends. Returns a promise when the message is so long that others should go on meanwhile. */
  write(bytes: Buffer): Promise<void> | undefined {
    const position = this.sizeBytes;
    this.sizeBytes += bytes.length;
    const whole = position === 0 ? bytes : undefined;
    if (this.sizeBytes > SYNC_BYTES_MAX) return writeLater(this.fd, bytes, position);
    this.writeAt(bytes, position);
    this.#whole = whole;
    return undefined;
  }

  /** Overwrites in place: the size record at the end, milters' edits. */
  writeAt(bytes: Buffer, offset: number): void {
    this.#whole = undefined;
    let written = 0;
    while (written < bytes.length) {
      written += writeSync(this.fd, bytes, written, bytes.length - written, offset + written);
    }
  }

  /** Drops what was written, to begin again in the same file. */
  truncate(sizeBytes = 0): void {
    ftruncateSync(this.fd, sizeBytes);
    this.#whole = undefined;
    this.sizeBytes = sizeBytes;
  }

  /** Moves the unfinished file to another queue: hold. */
  moveTo(queue: QueueName): void {
    const path = this.#base + queuePath(queue, this.id, this.#hashing);
    makeFolder(this.#base + queueFolder(queue, this.id, this.#hashing));
    renameSync(this.#path, path);
    this.#path = path;
  }

  /**
   * Declares the message complete, waits for stable storage, and closes the file. When this
   * returns, and not before, we answer for the message. When it throws, the file is gone.
   *
   * @param mode complete: 0700; in maildrop 0744
   */
  async commit(mode: number = QUEUE_FILE_MODE.ready): Promise<void> {
    try {
      const whole = this.#whole;
      if (whole !== undefined && this.#journal?.takes(whole.length) === true) {
        const complete = () => fchmodSync(this.fd, mode);
        const { fd, path } = this;
        await this.#journal.append({ fd, path, bytes: whole, complete, spare: this.#spare });
        this.#open = false;
        return;
      }
      fchmodSync(this.fd, mode);
      await commit(this.fd);
      this.#close();
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /** Removes the file: nobody was promised anything. Harmless after it is closed by `commit`. */
  discard(): void {
    if (!this.#open) return;
    unlinkQuietly(this.#path);
    this.#close();
  }

  #close(): void {
    this.#open = false;
    if (this.#spare !== undefined) this.#journal?.release(this.#spare);
    closeSync(this.fd);
  }
}

async function writeLater(fd: number, bytes: Buffer, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    written += await writeSome(fd, bytes, written, position + written);
  }
}

function writeSome(fd: number, bytes: Buffer, from: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, from, bytes.length - from, position, (error, written) =>
      error === null ? resolve(written) : reject(error),
    );
  });
}
