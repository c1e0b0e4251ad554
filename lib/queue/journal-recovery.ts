/**
 * What a process left in the journal when it could not tidy up. If the machine has not started anew
 * since, its queue files are all there, in memory at least: they are brought to the disk. If it has,
 * those that the disk does not have are made from the journal. Runs before anybody scans the queue.
 */
import {
  closeSync,
  fchmodSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { errorText, isErrno } from '../os/error.ts';
import { syncFileSystem } from '../os/files.ts';
import { flock } from '../os/locks.ts';
import { commitSync } from './commit.ts';
import { type JournalEntry, parseEntries } from './journal-entry.ts';
import { JOURNAL_FOLDER } from './journal-folder.ts';
import { isReady, QUEUE_FILE_MODE } from './queue-file.ts';
import { parseQueueId } from './queue-id.ts';
import { type Hashing, type QueueName, queuePath } from './queue-path.ts';
import { RECORD } from './record.ts';
import { scanQueue } from './scan.ts';
import { removeAbandonedSpares, SPARE_FOLDER } from './spare-files.ts';

export interface RecoveryOptions {
  /** Which start of the machine this is; without it there is no journal. */
  readonly boot: string | undefined;
  readonly hashing: Hashing;
  readonly warn: (text: string, queueId?: string) => void;
}

type Message = Extract<JournalEntry, { kind: 'message' }>;

/** The segments of one process, all of them ours now. */
interface Family {
  readonly paths: readonly string[];
  readonly descriptors: readonly number[];
}

/** Where a message may lie that cleanup has finished. */
const QUEUES: readonly QueueName[] = ['incoming', 'active', 'deferred', 'hold'];
/** What is changed in a message in place, for good. */
const MARKS = new Set([RECORD.done.charCodeAt(0), RECORD.killed.charCodeAt(0)]);

/** Goes through what is left of processes that are no more. Whoever else does so is waited for. */
export function recoverJournals(options: RecoveryOptions): void {
  if (options.boot === undefined) return;
  let folder: number;
  try {
    folder = openSync(JOURNAL_FOLDER, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    throw error;
  }
  try {
    flock(folder, 'exclusive', { wait: true });
    let restarted = false;
    for (const family of abandonedFamilies()) {
      restarted = recoverFamily(family, options) || restarted;
    }
    if (restarted) removeEmpty(options);
    removeAbandonedSpares();
    commitSync(folder);
  } catch (error) {
    // What is in it can wait for the next start; mail that comes now can't.
    options.warn(`${JOURNAL_FOLDER}: ${errorText(error)}`);
  } finally {
    closeSync(folder);
  }
}

/** Those whose process has ended: it held a lock on each of its segments. */
function* abandonedFamilies(): Generator<Family, void, undefined> {
  const families = new Map<string, string[]>();
  for (const name of readdirSync(JOURNAL_FOLDER)) {
    if (name === basename(SPARE_FOLDER)) continue;
    const family = name.slice(0, name.lastIndexOf('.'));
    families.set(family, [...(families.get(family) ?? []), `${JOURNAL_FOLDER}/${name}`]);
  }
  for (const paths of families.values()) {
    const descriptors: number[] = [];
    try {
      if (lockAll(paths, descriptors)) yield { paths, descriptors };
    } finally {
      for (const fd of descriptors) closeSync(fd);
    }
  }
}

/** @returns false when their process lives, or has just ended and tidied up */
function lockAll(paths: readonly string[], descriptors: number[]): boolean {
  try {
    for (const path of paths) descriptors.push(openSync(path, 'r+'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
  return descriptors.every((fd) => flock(fd, 'exclusive'));
}

/** @returns whether the machine has started anew since it was written */
function recoverFamily(
  { paths, descriptors }: Family,
  { boot, hashing, warn }: RecoveryOptions,
): boolean {
  const messages: Message[] = [];
  const settled = new Set<number>();
  let isSameBoot = true;
  for (const fd of descriptors) {
    for (const entry of parseEntries(readFileSync(fd))) {
      if (entry.kind === 'message') messages.push(entry);
      else if (entry.kind === 'start') isSameBoot &&= entry.boot === boot;
      else for (const sequence of entry.sequences) settled.add(sequence);
    }
  }
  const needed = messages.filter(({ sequence }) => !settled.has(sequence));
  if (isSameBoot) {
    if (needed.length > 0) syncQueue();
  } else {
    for (const message of needed) recoverMessage(message, hashing, warn);
  }
  for (const path of paths) unlinkSync(path);
  return !isSameBoot;
}

/** All queues are on one file system, or no message could move between them. */
function syncQueue(): void {
  const fd = openSync('incoming', 'r');
  try {
    syncFileSystem(fd);
  } finally {
    closeSync(fd);
  }
}

function recoverMessage(message: Message, hashing: Hashing, warn: RecoveryOptions['warn']): void {
  const id = parseQueueId(basename(message.path));
  if (id === undefined) return;
  const damaged: string[] = [];
  for (const queue of [...QUEUES, 'corrupt'] as const) {
    const path = queuePath(queue, id, hashing);
    const state = stateOf(path, message.bytes);
    if (state === 'whole') return;
    if (state === 'damaged' && queue !== 'corrupt') damaged.push(path);
  }
  restore(message);
  for (const path of damaged) if (path !== message.path) unlinkSync(path);
  const why = damaged.length > 0 ? 'had only a part of it' : 'did not have it yet';
  warn(`restored ${message.path} from the journal: the disk ${why} when the machine stopped`, id);
}

function stateOf(path: string, bytes: Buffer): 'missing' | 'whole' | 'damaged' {
  try {
    const found = readFileSync(path);
    const isWhole = isReady(statSync(path)) && isSameMessage(found, bytes);
    return isWhole ? 'whole' : 'damaged';
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return 'missing';
    throw error;
  }
}

/** Whether nothing but marks tells a queue file from what cleanup wrote. Pure. */
function isSameMessage(found: Buffer, written: Buffer): boolean {
  if (found.length !== written.length) return false;
  return found.every((byte, at) => byte === written[at] || MARKS.has(byte));
}

/** As cleanup makes a queue file, under the name that the message had. */
function restore({ path, bytes }: Message): void {
  const temporary = `incoming/${basename(path)}.journal`;
  const fd = openSync(temporary, 'w', QUEUE_FILE_MODE.writing);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    renameSync(temporary, path);
    fchmodSync(fd, QUEUE_FILE_MODE.ready);
    commitSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A message that was delivered may have come back without its content; nobody answers for it. */
function removeEmpty({ hashing }: RecoveryOptions): void {
  for (const queue of QUEUES) {
    for (const id of scanQueue(queue)) {
      const path = queuePath(queue, id, hashing);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats !== undefined && stats.size === 0 && isReady(stats)) unlinkSync(path);
    }
  }
}
