/**
 * Logs of an earlier message that happened to have the same queue id, or of one that is dropped.
 */
import { existsSync, unlinkSync } from 'node:fs';
import { isErrno } from '../../lib/os/error.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import { type Hashing, queuePath } from '../../lib/queue/queue-path.ts';

const LOG_QUEUES = ['defer', 'bounce', 'trace'] as const;

export function removeStaleLogs(id: QueueId, hashing: Hashing): void {
  for (const queue of LOG_QUEUES) {
    const path = queuePath(queue, id, hashing);
    // There is hardly ever one, and an unlink that fails costs an exception.
    if (existsSync(path)) unlink(path);
  }
}

function unlink(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
