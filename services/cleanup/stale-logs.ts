/**
 * Logs of an earlier message that happened to have the same queue id, or of one that is dropped.
 */
import { unlinkSync } from 'node:fs';
import { isErrno } from '../../lib/os/error.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import { type Hashing, queuePath } from '../../lib/queue/queue-path.ts';

const LOG_QUEUES = ['defer', 'bounce', 'trace'] as const;

export function removeStaleLogs(id: QueueId, hashing: Hashing): void {
  for (const queue of LOG_QUEUES) {
    try {
      unlinkSync(queuePath(queue, id, hashing));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}
