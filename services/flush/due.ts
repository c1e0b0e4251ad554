/** Making a deferred message due now. */
import { chmodSync, lstatSync, mkdirSync, renameSync, utimesSync } from 'node:fs';
import { now } from '../../lib/clock/clock.ts';
import { isErrno } from '../../lib/os/error.ts';
import { QUEUE_FILE_MODE } from '../../lib/queue/queue-file.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import { type Hashing, queueFolder, queuePath } from '../../lib/queue/queue-path.ts';

const FOLDER_MODE = 0o700;
const PERMISSIONS = 0o777;

export interface DueOptions {
  /** qmgr is to forget that the message's destinations are dead. */
  readonly unthrottle?: boolean;
}

/** Moves a deferred message to incoming, where the next scan takes it. @returns false: not there */
export function makeDue(id: QueueId, hashing: Hashing, options: DueOptions = {}): boolean {
  const from = queuePath('deferred', id, hashing);
  const stats = lstatSync(from, { throwIfNoEntry: false });
  if (!stats?.isFile()) return false;
  try {
    const mode = (stats.mode & PERMISSIONS) | QUEUE_FILE_MODE.unthrottle;
    if (options.unthrottle) chmodSync(from, mode);
    const seconds = now() / 1000;
    utimesSync(from, seconds, seconds);
    mkdirSync(queueFolder('incoming', id, hashing), { recursive: true, mode: FOLDER_MODE });
    renameSync(from, queuePath('incoming', id, hashing));
    return true;
  } catch (error) {
    // qmgr has just taken it.
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
