/** Where the processes that write the queue keep what is their own. */
import { nowMicroseconds } from '../clock/clock.ts';

/** Below the queue directory. */
export const JOURNAL_FOLDER = 'journal';

/** A name for all that is one process's in it. */
export function familyName(): string {
  const { seconds, microseconds } = nowMicroseconds();
  return `${process.pid}-${seconds}-${microseconds}`;
}
