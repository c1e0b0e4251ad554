import { readFileSync } from 'node:fs';

/** The lines of a log so far; one that is still being written is none. Without a file there are none. */
export function readLog(path: string): string {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // Nobody has logged anything.
  }
  return text.slice(0, text.lastIndexOf('\n') + 1);
}
