/** Delivers a message into a Maildir. Synchronous: for a thread. */
import { closeSync, fstatSync, linkSync, mkdirSync, openSync, unlinkSync } from 'node:fs';
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
}

/** A name is taken by chance, and hardly twice: more is a broken clock. */
const ATTEMPTS = 10;
let serial = 0;

/** Delivers, or leaves nothing. */
export function deliverToMaildir(delivery: MaildirDelivery): FileResult {
  const { path, message, prepended, limitBytes } = delivery;
  const created = nowMicroseconds();
  const temporary = make(path, created, temporaryName, (file) => openSync(file, 'wx', 0o600));
  if (temporary.kind === 'failed') return temporary;
  const { file, value: fd } = temporary;
  try {
    copyMessage(fd, message, { prepended, limitBytes });
    return publish(path, file, fd, created) ?? { kind: 'delivered' };
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

/**
 * Gives the file its final name, and makes sure that a crash takes neither the name nor the content
 * back. One sync does for both, because a new name changes the file too (its count of names): it
 * comes last, and before the recipient is marked, since the mark may reach the disk at any time.
 */
function publish(
  path: string,
  temporary: string,
  fd: number,
  created: WallTime,
): FileFailure | undefined {
  const { dev, ino } = fstatSync(fd);
  const place = `V${dev.toString(16)}I${ino.toString(16)}`;
  const nameAt = ({ seconds, microseconds }: WallTime) =>
    `new/${seconds}.${place}M${microseconds}.${hostPart()}`;
  const final = make(path, created, nameAt, (file) => linkSync(temporary, file));
  if (final.kind === 'failed') return final;
  try {
    syncFile(fd);
    return undefined;
  } catch (error) {
    removeFile(final.file);
    throw error;
  }
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
