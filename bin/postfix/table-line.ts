/** Where in its source an entry of a table stands, for those who want to change it. */
import { closeSync } from 'node:fs';
import { FatalError } from '../../lib/log/fatal.ts';
import { parseMapLine } from '../../lib/table/map-source.ts';
import { openWatched, readSource } from '../../lib/table/source-file.ts';
import { sourceLines } from '../../lib/table/source-lines.ts';
import { openTable, TableError } from '../../lib/table/table.ts';

/** Tables whose source lies beside them, or is what they read. */
const SOURCED = /^(?:proxy:)*(?:hash|btree|lmdb|cdb|dbm|sdbm|texthash):(.*)$/s;

/** Their rules are matched, not found by a key. */
const RULES = /^(?:proxy:)*((?:regexp|pcre|cidr):.*)$/s;

/** `hash:/etc/postfix/access, line 3`; the table alone when there is no such line. */
export function placeOf(table: string, key: string): string {
  const rules = RULES.exec(table)?.[1];
  const path = SOURCED.exec(table)?.[1];
  const line =
    rules !== undefined
      ? ruleLine(rules, key)
      : path === undefined
        ? undefined
        : lineOf(path, key.toLowerCase());
  return line === undefined ? table : `${table}, line ${line}`;
}

/** The rule that answered, in a table that is opened for this. */
function ruleLine(name: string, key: string): number | undefined {
  try {
    const table = openTable(name, {});
    try {
      return table.lineOf?.(key);
    } finally {
      table.close();
    }
  } catch (error) {
    if (!(error instanceof TableError || error instanceof FatalError)) throw error;
    return undefined;
  }
}

function lineOf(path: string, key: string): number | undefined {
  try {
    const file = openWatched(path, 'open');
    try {
      for (const line of sourceLines(readSource(file))) {
        if (parseMapLine(line).entry?.key.toLowerCase() === key) return line.line;
      }
    } finally {
      closeSync(file.fd);
    }
  } catch (error) {
    // The table answered: whether its source can be read is another matter.
    if (!(error instanceof TableError)) throw error;
  }
  return undefined;
}
