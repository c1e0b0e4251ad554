/** Where in its source an entry of a table stands, for those who want to change it. */
import { closeSync } from 'node:fs';
import { FatalError } from '../log/fatal.ts';
import { parseAliasLine } from './alias-source.ts';
import { parseMapLine } from './map-source.ts';
import { openWatched, readSource } from './source-file.ts';
import { SOURCE_BYTES_MAX, type SourceLine, sourceLines } from './source-lines.ts';
import { openTable, TableError } from './table.ts';

/** Tables whose source lies beside them, or is what they read. */
const SOURCED = /^(?:proxy:)*(?:hash|btree|lmdb|cdb|dbm|sdbm|texthash):(.*)$/s;

/** Their rules are matched, not found by a key. */
const RULES = /^(?:proxy:)*((?:regexp|pcre|cidr):.*)$/s;

/** `hash:/etc/postfix/access, line 3`; the table alone when there is no such line. */
export function placeOf(table: string, key: string): string {
  const rules = RULES.exec(table)?.[1];
  return placeAt(table, rules === undefined ? entryLine(table, key) : ruleLine(rules, key));
}

/** The same, with a line that is known already. */
export function placeAt(table: string, line: number | undefined): string {
  return line === undefined ? table : `${table}, line ${line}`;
}

/** The line of a table's entry, where its source has no more bytes than that. */
export function entryLine(
  table: string,
  key: string,
  bytesMax = SOURCE_BYTES_MAX,
): number | undefined {
  const path = SOURCED.exec(table)?.[1];
  return path === undefined ? undefined : lineOf(path, key.toLowerCase(), bytesMax);
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

function lineOf(path: string, key: string, bytesMax: number): number | undefined {
  try {
    const file = openWatched(path, 'open');
    try {
      for (const line of sourceLines(readSource(file, bytesMax))) {
        if (keysOf(line).includes(key)) return line.line;
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

/** Whether postmap or postalias made the table is not to be seen: as either reads the line. */
function keysOf(line: SourceLine): readonly (string | undefined)[] {
  return [parseMapLine, parseAliasLine].map((parse) => parse(line).entry?.key.toLowerCase());
}
