/** Delivers a message into a Maildir. Synchronous: for a thread. */
import { closeSync, fstatSync, linkSync, mkdirSync, openSync, unlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
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

/** Two messages in one microsecond on one inode: more is a broken clock. */
const ATTEMPTS = 10;
let serial = 0;

/** Delivers, or leaves nothing. */
export function deliverToMaildir(delivery: MaildirDelivery): FileResult {
  const { path, message, prepended, limitBytes } = delivery;
  const time = nowMicroseconds();
  serial += 1;
  // Several threads of one process deliver at a time, so the process id alone is not enough.
  const unique = `${time.seconds}.P${process.pid}Q${serial}M${time.microseconds}.${hostPart()}`;
  const temporary = join(path, 'tmp', unique);
  let fd: number;
  try {
    fd = inDirectories(path, () => openSync(temporary, 'wx', 0o600));
  } catch (error) {
    return fileFailure(error, `create maildir file ${temporary}`);
  }
  try {
    copyMessage(fd, message, { prepended, limitBytes });
    return publish(path, temporary, fd, time) ?? { kind: 'delivered' };
  } catch (error) {
    return copyFailure(error);
  } finally {
    closeSync(fd);
    removeFile(temporary);
  }
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
  let time = created;
  for (let attempt = 1; ; attempt += 1) {
    const place = `V${dev.toString(16)}I${ino.toString(16)}M${time.microseconds}`;
    const final = join(path, 'new', `${time.seconds}.${place}.${hostPart()}`);
    try {
      inDirectories(path, () => linkSync(temporary, final));
    } catch (error) {
      if (!isErrno(error, 'EEXIST') || attempt === ATTEMPTS) {
        return fileFailure(error, `create maildir file ${final}`);
      }
      time = nowMicroseconds();
      continue;
    }
    try {
      syncFile(fd);
      return undefined;
    } catch (error) {
      removeFile(final);
      throw error;
    }
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
