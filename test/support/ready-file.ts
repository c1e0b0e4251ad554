import { statSync } from 'node:fs';
import { isReady } from '../../lib/queue/queue-file.ts';

/** Whether cleanup is done with this queue file; one that has left since it was listed is not ready. */
export function isReadyFile(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && isReady(stats);
}
