/** Appends a message to a mailbox file (mbox format), or to any file. Synchronous: for a thread. */
import { closeSync, constants, fstatSync, ftruncateSync, type Stats, statSync } from 'node:fs';
import { errorText, isErrno } from '../os/error.ts';
import { QueueFileError } from '../queue/queue-file-error.ts';
import { type FileResult, fileFailure, fileStatus } from './file-result.ts';
import { type LockMethods, releaseDotLock, takeDotLock, takeFileLocks } from './mailbox-locks.ts';
import { copyMessage, type MessageSource, syncFile } from './message-copy.ts';
import { safeOpen, UnsafeFileError } from './safe-open.ts';

/** One delivery to one file. */
export interface MailboxDelivery {
  readonly path: string;
  readonly message: MessageSource;
  readonly prepended: string;
  readonly locks: LockMethods;
  /** A dot lock that can't be made is no reason not to deliver, only one to warn. */
  readonly dotlockMayFail?: boolean;
  readonly staleLockSeconds: number;
  /** How large the file may become; 0 is no limit. */
  readonly limitBytes: number;
  /** It must be a regular file, and belong to this user when strict_mailbox_ownership says so. */
  readonly mailboxOf?: { readonly uid: number; readonly strict: boolean };
  /** Who gets a new file, when root delivers for somebody. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** Delivers, or leaves the file as it was. */
export function appendToMailbox(delivery: MailboxDelivery): FileResult {
  const { path } = delivery;
  const warnings: string[] = [];
  let dotLocked = false;
  try {
    if (delivery.locks.dotlock && mayBeDotLocked(path)) {
      const taken = dotLock(delivery, warnings);
      if (typeof taken !== 'boolean') return taken;
      dotLocked = taken;
    }
    const result = appendLocked(delivery);
    return warnings.length === 0 ? result : withWarnings(result, warnings);
  } finally {
    if (dotLocked) releaseDotLock(path);
  }
}

function withWarnings(result: FileResult, warnings: readonly string[]): FileResult {
  return { ...result, warnings };
}

/** Only files are locked that way: there shall be no /dev/null.lock. */
function mayBeDotLocked(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return true;
  }
}

function dotLock(delivery: MailboxDelivery, warnings: string[]): boolean | FileResult {
  const what = `unable to create lock file ${delivery.path}.lock`;
  try {
    const taken = takeDotLock(delivery.path, delivery.staleLockSeconds);
    return taken || { kind: 'busy', text: `${what}: File exists` };
  } catch (error) {
    if (!delivery.dotlockMayFail) return fileFailure(error, what);
    warnings.push(`${what}: ${errorText(error)}`);
    return false;
  }
}

function appendLocked(delivery: MailboxDelivery): FileResult {
  const { path, locks } = delivery;
  let fd: number;
  let stats: Stats;
  try {
    ({ fd, stats } = safeOpen(path, delivery.owner));
  } catch (error) {
    if (error instanceof UnsafeFileError) return refused('5.2.0', error.message);
    return fileFailure(error, isErrno(error, 'EEXIST') ? CANNOT_CREATE : CANNOT_OPEN);
  }
  try {
    if (stats.isFile()) {
      if (!takeFileLocks(fd, locks)) return { kind: 'busy', text: LOCKED };
      // Whoever held the lock may have put another file in its place.
      if (!isStill(path, fd)) return { kind: 'busy', text: 'file status changed unexpectedly' };
    }
    return checkKind(delivery, stats) ?? append(delivery, fd);
  } catch (error) {
    return fileFailure(error, `cannot use file ${path}`);
  } finally {
    closeSync(fd);
  }
}

const CANNOT_OPEN = 'cannot open file';
const CANNOT_CREATE = 'cannot create file exclusively';
const LOCKED = 'unable to lock for exclusive access: Resource temporarily unavailable';
const EXECUTABLE = constants.S_IXUSR | constants.S_IXGRP | constants.S_IXOTH;

function isStill(path: string, fd: number): boolean {
  try {
    const named = statSync(path);
    const opened = fstatSync(fd);
    return named.dev === opened.dev && named.ino === opened.ino && opened.nlink === 1;
  } catch {
    return false;
  }
}

function checkKind({ path, mailboxOf }: MailboxDelivery, stats: Stats): FileResult | undefined {
  if (mailboxOf === undefined) {
    const executable = stats.isFile() && (stats.mode & EXECUTABLE) !== 0;
    return executable ? refused('5.7.1', 'file is executable') : undefined;
  }
  if (!stats.isFile()) return refused('5.2.0', `destination ${path} is not a regular file`);
  if (mailboxOf.strict && stats.uid !== mailboxOf.uid) {
    return {
      ...refused('4.2.0', `destination ${path} is not owned by recipient`),
      warnings: ['specify "strict_mailbox_ownership = no" to ignore mailbox ownership mismatch'],
    };
  }
  return undefined;
}

function refused(status: '4.2.0' | '5.2.0' | '5.7.1', text: string) {
  return { kind: 'failed', status, text } as const;
}

function append({ message, prepended, limitBytes }: MailboxDelivery, fd: number): FileResult {
  const { size } = fstatSync(fd);
  const room = limitBytes === 0 ? 0 : Math.max(1, limitBytes - size);
  try {
    copyMessage(fd, message, { prepended, quoteFrom: true, blankLine: true, limitBytes: room });
    syncFile(fd);
    return { kind: 'delivered', offset: size };
  } catch (error) {
    takeBack(fd, size);
    return copyFailure(error);
  }
}

/** Postfix's words for a damaged queue file. */
export const UNREADABLE = 'unreadable mail queue entry';

/** What a copy failed with, in the words of both kinds of mailbox. */
export function copyFailure(error: unknown): FileResult {
  if (error instanceof QueueFileError) {
    const warnings = [error.message];
    return { kind: 'failed', status: '4.3.0', text: UNREADABLE, warnings, corrupt: true };
  }
  const text = `error writing message: ${errorText(error)}`;
  return { kind: 'failed', status: fileStatus(error, '5.3.0'), text };
}

function takeBack(fd: number, size: number): void {
  try {
    if (fstatSync(fd).isFile()) ftruncateSync(fd, size);
  } catch {
    // The failure that brought us here is the one to report.
  }
}
