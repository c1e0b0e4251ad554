/** Queue files that cleanup is done with. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isReady } from '../../lib/queue/queue-file.ts';
import { readRecord } from '../../lib/queue/record.ts';

export interface ReadyFile {
  readonly id: string;
  readonly path: string;
}

/** Whether cleanup is done with this queue file; one that has left since it was listed is not ready. */
export function isReadyFile(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && isReady(stats);
}

/**
 * In the order of their arrival. Short ids don't tell it: they begin with the microseconds alone, so
 * the last one of a second is greater than the first one of the next.
 */
export function readyFiles(directory: string): ReadyFile[] {
  return readdirSync(directory)
    .filter((id) => !id.includes('.'))
    .map((id) => ({ id, path: join(directory, id) }))
    .filter(({ path }) => isReadyFile(path))
    .map((file) => ({ file, arrival: arrivalOf(file.path) }))
    .sort((one, other) => one.arrival - other.arrival)
    .map(({ file }) => file);
}

/** @returns microseconds. The record is one of the first; what comes later may have been edited */
function arrivalOf(path: string): number {
  const bytes = readFileSync(path);
  for (let at = 0; ; ) {
    const found = readRecord(bytes, at);
    if (found === undefined) throw new Error(`${path} has no time of arrival`);
    const { type, data } = found.record;
    if (type === 'T') {
      const [seconds = 0, microseconds = 0] = data.toString('latin1').split(' ').map(Number);
      return seconds * 1e6 + microseconds;
    }
    at = found.next;
  }
}
