/** What the system lets this process have. */
import { readFileSync } from 'node:fs';

const FILE = '/proc/self/limits';

/** How many files this process may have open at once; undefined where the system does not tell. */
export function openFilesMax(): number | undefined {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync(FILE, 'latin1'));
    return found === null ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}
