import { utimesSync, writeFileSync } from 'node:fs';

/** Writes a file that looks old: Postfix's programs wait two seconds for a fresh main.cf to settle. */
export function writeSettled(path: string, text: string): void {
  writeFileSync(path, text);
  utimesSync(path, 0, 0);
}
