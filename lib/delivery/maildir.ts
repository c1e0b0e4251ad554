/** Delivers a message into a Maildir. Synchronous: for a thread. */
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  unlinkSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { nowMicroseconds, type WallTime } from '../clock/clock.ts';
import { isErrno } from '../os/error.ts';
import { type FileFailure, type FileResult, fileFailure } from './file-result.ts';
import { copyFailure } from './mailbox.ts';
import { copyMessage, type MessageSource, syncFile } from './message-copy.ts';

/** One delivery to one Maildir. */
export interface MaildirDelivery {
  /** The directory that has `tmp`, `new` and `cur`; they are made when they are missing. */
  readonly path: string;
  readonly message: MessageSource;
  readonly prepended: string;
  /** How large the message may be; 0 is no limit. */
  readonly limitBytes: number;
  /** Left out where nothing tells this delivery from others of the same message. */
  readonly occasion?: Occasion;
}

/**
 * What a delivery has in common with its repetitions, and with no other delivery of the message. An
 * agent may die after a delivery and before its mark in the queue file: then the message comes
 * again, and its name and content show that it is there already.
 */
export interface Occasion {
  /** When the message arrived in the queue. */
  readonly arrival: WallTime;
  /** Offset of the recipient's record in the queue file. */
  readonly recipient: number;
  /** How many Maildirs had the message for this recipient before. */
  readonly count: number;
}

/** A name is taken by chance, and hardly twice: more is a broken clock. */
const ATTEMPTS = 10;
const COMPARED_BYTES = 64 * 1024;
let serial = 0;

/** Delivers, or leaves nothing. */
export function deliverToMaildir(delivery: MaildirDelivery): FileResult {
  const { path, message, prepended, limitBytes, occasion } = delivery;
  const created = nowMicroseconds();
  const temporary = make(path, created, temporaryName, (file) => openSync(file, 'wx+', 0o600));
  if (temporary.kind === 'failed') return temporary;
  const { file, value: fd } = temporary;
  try {
    copyMessage(fd, message, { prepended, limitBytes });
    const known = occasion === undefined ? undefined : join(path, nameOf(occasion, message.fd));
    return publish({ path, temporary: file, fd, created, known }) ?? { kind: 'delivered' };
  } catch (error) {
    return copyFailure(error);
  } finally {
    closeSync(fd);
    removeFile(file);
  }
}

/**
 * Threads of one process count their deliveries each for themselves, and may well begin the first
 * ones in the same microsecond: only with its own number is a thread's name nobody else's.
 */
function temporaryName({ seconds, microseconds }: WallTime): string {
  serial += 1;
  return `tmp/${seconds}.P${process.pid}Q${threadId}-${serial}M${microseconds}.${hostPart()}`;
}

/** A message that is to get its final name. */
interface Unpublished {
  readonly path: string;
  readonly temporary: string;
  readonly fd: number;
  readonly created: WallTime;
  /** The name that an earlier attempt would have given it, too. */
  readonly known: string | undefined;
}

/**
 * Gives the file its final name, and makes sure that a crash takes neither the name nor the content
 * back. One sync does for both, because a new name changes the file too (its count of names): it
 * comes last, and before the recipient is marked, since the mark may reach the disk at any time.
 */
function publish(message: Unpublished): FileFailure | undefined {
  const { path, temporary, fd, created, known } = message;
  if (known !== undefined && tryLink(temporary, known)) return makeDurable(fd, known);
  if (known !== undefined && isThere(known, fd)) return undefined;
  const { dev, ino } = fstatSync(fd);
  const nameAt = (time: WallTime) => finalName(time, dev, ino, '');
  const final = make(path, created, nameAt, (file) => linkSync(temporary, file));
  return final.kind === 'failed' ? final : makeDurable(fd, final.file);
}

/** @returns whether it could; why not will show when another name is tried */
function tryLink(temporary: string, file: string): boolean {
  try {
    linkSync(temporary, file);
    return true;
  } catch {
    return false;
  }
}

function makeDurable(fd: number, file: string): undefined {
  try {
    syncFile(fd);
  } catch (error) {
    removeFile(file);
    throw error;
  }
}

/** An earlier attempt has delivered the same bytes under this name, and they are durable now. */
function isThere(file: string, fd: number): boolean {
  let earlier: number | undefined;
  try {
    earlier = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (!fstatSync(earlier).isFile() || !isSameContent(earlier, fd)) return false;
    syncFile(earlier);
    return true;
  } catch {
    return false;
  } finally {
    if (earlier !== undefined) closeSync(earlier);
  }
}

function isSameContent(one: number, other: number): boolean {
  const [bytes, others] = [Buffer.alloc(COMPARED_BYTES), Buffer.alloc(COMPARED_BYTES)];
  for (let at = 0; ; ) {
    const length = readSync(one, bytes, 0, bytes.length, at);
    if (length !== readSync(other, others, 0, others.length, at)) return false;
    if (length === 0) return true;
    if (!bytes.subarray(0, length).equals(others.subarray(0, length))) return false;
    at += length;
  }
}

/** Among all queue files of this machine there is one with this inode and this time of arrival. */
function nameOf({ arrival, recipient, count }: Occasion, queueFile: number): string {
  const { dev, ino } = fstatSync(queueFile);
  return finalName(arrival, dev, ino, `R${recipient}Q${count}`);
}

function finalName(time: WallTime, dev: number, ino: number, more: string): string {
  const place = `V${dev.toString(16)}I${ino.toString(16)}`;
  return `new/${time.seconds}.${place}M${time.microseconds}${more}.${hostPart()}`;
}

/** What was made, and under which name. */
interface Made<T> {
  readonly kind: 'made';
  readonly file: string;
  readonly value: T;
}

/** Makes a file in the Maildir, of another name when somebody has taken the first. */
function make<T>(
  path: string,
  created: WallTime,
  nameAt: (time: WallTime) => string,
  action: (file: string) => T,
): Made<T> | FileFailure {
  let time = created;
  for (let attempt = 1; ; attempt += 1) {
    const file = join(path, nameAt(time));
    try {
      return { kind: 'made', file, value: inDirectories(path, () => action(file)) };
    } catch (error) {
      const taken = isErrno(error, 'EEXIST');
      if (!taken || attempt === ATTEMPTS) {
        // The recipient can't help it that names are taken: that may pass.
        return fileFailure(error, `create maildir file ${file}`, taken ? '4.3.0' : '5.2.0');
      }
    }
    time = nowMicroseconds();
  }
}

/** Does it; when that fails for want of directories, makes them and does it again. */
function inDirectories<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  for (const name of ['tmp', 'new', 'cur']) {
    mkdirSync(join(path, name), { recursive: true, mode: 0o700 });
  }
  return action();
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Maildir readers remove what stays in tmp after 36 hours.
  }
}

/** The kernel's name of this machine; two characters would mean something in a file name. */
function hostPart(): string {
  host ??= hostname().replaceAll('/', '\\057').replaceAll(':', '\\072');
  return host;
}

let host: string | undefined;
