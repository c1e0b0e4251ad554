/** Tables opened in tests, and what they warned about. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openTableOrThrow, type Table, type TableContext } from '../../../lib/table/table.ts';
import { atEnd } from '../../support/cleanup.ts';
import { freshDirectory } from '../../support/directories.ts';

/** Collects what would be logged. */
export class Notes {
  readonly lines: string[] = [];
  readonly warn = (text: string) => {
    this.lines.push(text);
  };
  readonly error = (text: string) => {
    this.lines.push(`error: ${text}`);
  };
}

export const UTF8 = { text: (name: string) => (name === 'smtputf8_enable' ? 'yes' : '') };

/** A table of a type that has a file: opened from `source`, closed with the test. */
export function openFrom(
  t: TestContext,
  type: string,
  source: string | Buffer,
  context: TableContext = {},
): { table: Table; path: string; notes: Notes } {
  const path = join(freshDirectory(t), 'table');
  writeFileSync(path, source);
  const notes = new Notes();
  const table = openTableOrThrow(`${type}:${path}`, {
    configuration: UTF8,
    log: notes,
    ...context,
  });
  atEnd(t, () => table.close());
  return { table, path, notes };
}
