/**
 * Makes the names in the queue right again after files were copied, or main.cf was changed: an id
 * must match its file's inode, and a file must lie on the level that hash_queue_names says.
 *
 * A message gets its new name with `#FIX` first, its logs before it, so that no daemon meets a
 * half-renamed message; then the mark goes. Interrupted, it can simply be run again.
 */
import { lstatSync, mkdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { now } from '../../lib/clock/clock.ts';
import type { Log } from '../../lib/log/log.ts';
import { isErrno } from '../../lib/os/error.ts';
import { isReady } from '../../lib/queue/queue-file.ts';
import {
  isLongId,
  makeQueueId,
  parseLongId,
  parseQueueId,
  type QueueId,
} from '../../lib/queue/queue-id.ts';
import { depthOf, type Hashing, type QueueName, queuePath } from '../../lib/queue/queue-path.ts';
import { LOG_QUEUES, MESSAGE_QUEUES } from './queues.ts';
import { walk } from './walk.ts';

export interface RepairOptions {
  readonly hashing: Hashing;
  /** enable_long_queue_ids. */
  readonly long: boolean;
  /** -s: names and levels. */
  readonly structure: boolean;
  /** -S: the inode in long ids as well, though they are unique without. */
  readonly redundant: boolean;
  /** -p: unfinished files that nobody works on any more. */
  readonly purge: boolean;
  readonly log: Log;
}

const MARK = '#FIX';
const PURGE_MS = 7 * 86_400_000;

/** Repairs queues. @returns how many messages got another name */
export function repair(queues: readonly QueueName[], options: RepairOptions): number {
  let renamed = 0;
  for (const queue of queues) renamed += firstPass(queue, options);
  if (!options.structure) return 0;
  // The logs of a message go with it, whether their queue was named or not.
  const all = renamed > 0 ? new Set([...queues, ...LOG_QUEUES]) : queues;
  for (const queue of all) secondPass(queue, options);
  return renamed;
}

function firstPass(queue: QueueName, options: RepairOptions): number {
  const { hashing, log } = options;
  const holdsMessages = MESSAGE_QUEUES.includes(queue);
  const depth = depthOf(queue, hashing);
  let renamed = 0;
  for (const { path, name, depth: level, isFolder } of walk(queue)) {
    if (isFolder) {
      if (options.structure && level >= depth) removeEmpty(path);
      continue;
    }
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    if (options.purge && holdsMessages && !isReady(stats) && stats.mtimeMs < now() - PURGE_MS) {
      unlinkSync(path);
      continue;
    }
    if (!options.structure || name.endsWith(MARK)) continue;
    const id = parseQueueId(name);
    if (id === undefined || !stats.isFile()) {
      log.warn(`bogus file name: ${path}`);
      continue;
    }
    const right = holdsMessages ? repairedId(id, stats.ino, options) : id;
    if (right === id) {
      move(path, queuePath(queue, id, hashing), log);
      continue;
    }
    for (const logs of LOG_QUEUES) {
      move(queuePath(logs, id, hashing), queuePath(logs, right, hashing) + MARK, log);
    }
    if (move(path, queuePath(queue, right, hashing) + MARK, log)) renamed += 1;
  }
  return renamed;
}

function secondPass(queue: QueueName, { hashing, log }: RepairOptions): void {
  for (const { path, name, isFolder } of walk(queue)) {
    if (isFolder || !name.endsWith(MARK)) continue;
    const id = parseQueueId(name.slice(0, -MARK.length));
    if (id === undefined) log.warn(`bogus file name: ${path}`);
    else move(path, queuePath(queue, id, hashing), log);
  }
}

/** The id that a file with this inode should have. Pure. */
export function repairedId(
  id: QueueId,
  inode: number,
  { long, redundant }: Pick<RepairOptions, 'long' | 'redundant'>,
): QueueId {
  const parts = isLongId(id) ? parseLongId(id) : undefined;
  if (parts !== undefined) {
    if (long && (!redundant || parts.inode === inode)) return id;
    return makeQueueId({ ...parts, inode }, long);
  }
  const suffix = inode.toString(16).toUpperCase();
  if (id.length > 5 && id.slice(5) === suffix) return id;
  // It keeps its first characters: whoever knows the old id recognises it.
  return parseQueueId(id.slice(0, 5).padEnd(5, '0') + suffix) ?? id;
}

/** Moves a file, making folders; never onto another. @returns whether it was moved */
function move(from: string, to: string, log: Log): boolean {
  if (from === to) return false;
  if (lstatSync(from, { throwIfNoEntry: false }) === undefined) return false;
  if (lstatSync(to, { throwIfNoEntry: false }) !== undefined) {
    log.warn(`can't rename ${from} to ${to}: File exists`);
    return false;
  }
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  renameSync(from, to);
  return true;
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) throw error;
  }
}
