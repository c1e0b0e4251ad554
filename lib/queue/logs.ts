/** The logs of a message on disk: why each recipient failed, waits, or was reached. */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { monotonic, sleep } from '../clock/clock.ts';
import { isErrno } from '../os/error.ts';
import { fcntlLock, flock } from '../os/locks.ts';
import { commit } from './commit.ts';
import { formatLogEntry, type LogEntry, LogEntryParser, type LogQueue } from './log-entry.ts';
import { QueueFileBusyError } from './queue-file-error.ts';
import type { QueueId } from './queue-id.ts';
import { type Hashing, queueFolder, queuePath } from './queue-path.ts';

export { formatLogEntry, type LogEntry, LogEntryParser, type LogQueue } from './log-entry.ts';

/** As long as Postfix's 20 attempts with a second between them. */
const LOCK_LIMIT_MS = 20_000;
/** A log is locked for as long as fsync takes: the first looks come soon. */
const LOCK_PAUSE_MS = 2;
const LOCK_PAUSE_MAX_MS = 50;
const READ_BYTES = 64 * 1024;
/** Longer lines are cut: reasons come from other people's servers. */
const LINE_CHARACTERS_MAX = 64 * 1024;

/** Which log of which message. */
export interface LogPlace {
  readonly queue: LogQueue;
  readonly id: QueueId;
  readonly hashing: Hashing;
}

/**
 * Appends an entry, under a lock, and waits until it is on stable storage: only then may its
 * recipient be marked. When that fails the log is as before.
 */
export async function appendLog(
  place: LogPlace,
  entry: LogEntry,
  options: { readonly oldForm: boolean; readonly stopping?: AbortSignal },
): Promise<void> {
  const fd = openForAppend(place);
  try {
    await lock(fd, place, options.stopping);
    const before = fstatSync(fd).size;
    try {
      writeFully(fd, Buffer.from(formatLogEntry(entry, options.oldForm)));
      await commit(fd);
    } catch (error) {
      ftruncateSync(fd, before);
      throw error;
    }
  } finally {
    closeSync(fd);
  }
}

function openForAppend(place: LogPlace): number {
  const path = queuePath(place.queue, place.id, place.hashing);
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
  try {
    return openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    const folder = queueFolder(place.queue, place.id, place.hashing);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  }
}

/**
 * Postfix's bounce locks a log the BSD way; nothing else counts. But whoever finds it locked has to
 * look again and again, and would never have luck beside one who writes entry after entry. So ours
 * take turns: a lock of the other kind, which Postfix does not know, is held by the one who is next.
 */
async function lock(fd: number, place: LogPlace, stopping?: AbortSignal): Promise<void> {
  const until = monotonic() + LOCK_LIMIT_MS;
  const taken = async (take: () => boolean) => {
    for (let pauseMs = LOCK_PAUSE_MS; !take(); pauseMs = Math.min(pauseMs * 2, LOCK_PAUSE_MAX_MS)) {
      if (monotonic() >= until || stopping?.aborted) {
        throw new QueueFileBusyError(queuePath(place.queue, place.id, place.hashing));
      }
      await sleep(pauseMs, stopping);
    }
  };
  await taken(() => fcntlLock(fd, 'exclusive'));
  await taken(() => flock(fd, 'exclusive'));
  fcntlLock(fd, 'unlock');
}

function writeFully(fd: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
}

/** The entries of a log, one at a time however long it is; none when there is no log. */
export function* readLog(place: LogPlace): Generator<LogEntry, void, undefined> {
  const parser = new LogEntryParser(place.queue);
  for (const line of readLines(queuePath(place.queue, place.id, place.hashing))) {
    const entry = parser.line(line);
    if (entry !== undefined) yield entry;
  }
  const last = parser.end();
  if (last !== undefined) yield last;
}

function* readLines(path: string): Generator<string, void, undefined> {
  const fd = openIfThere(path);
  if (fd === undefined) return;
  try {
    const bytes = Buffer.allocUnsafe(READ_BYTES);
    let rest = '';
    for (let read = readSync(fd, bytes); read > 0; read = readSync(fd, bytes)) {
      // One byte a character until a line is whole: a chunk may end within a character.
      const lines = (rest + bytes.toString('latin1', 0, read)).split('\n');
      rest = (lines.pop() ?? '').slice(0, LINE_CHARACTERS_MAX);
      for (const line of lines) yield decode(line);
    }
    if (rest !== '') yield decode(rest);
  } finally {
    closeSync(fd);
  }
}

function decode(line: string): string {
  return Buffer.from(line.slice(0, LINE_CHARACTERS_MAX), 'latin1').toString();
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** How many bytes a log has, or undefined when there is none. */
export function logSize(place: LogPlace): number | undefined {
  const path = queuePath(place.queue, place.id, place.hashing);
  // There is hardly ever one, and to make a Stats costs more than to look.
  if (!existsSync(path)) return undefined;
  return statSync(path, { throwIfNoEntry: false })?.size;
}

/** Removes a log. @returns whether there was one */
export function removeLog(place: LogPlace): boolean {
  try {
    unlinkSync(queuePath(place.queue, place.id, place.hashing));
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Removes what an earlier message with the same id may have left (queue.md 2.1). */
export function removeOldLogs(id: QueueId, hashing: Hashing): void {
  for (const queue of ['defer', 'bounce', 'trace'] as const) {
    // Looking costs less than a failed unlink, which in Node is an exception.
    if (logSize({ queue, id, hashing }) !== undefined) removeLog({ queue, id, hashing });
  }
}
