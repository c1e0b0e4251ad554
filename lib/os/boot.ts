/** Which start of the machine this is: what was only in memory survives all but a new one. */
import { readFileSync } from 'node:fs';

const FILE = '/proc/sys/kernel/random/boot_id';

/**
 * A name that is the same for all processes until the machine starts anew; undefined where the
 * system does not tell. To be asked before the root directory changes.
 */
export function bootId(): string | undefined {
  try {
    return readFileSync(FILE, 'latin1').trim();
  } catch {
    return undefined;
  }
}
