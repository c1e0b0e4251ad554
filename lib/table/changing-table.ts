/** A table that proxywrite looks up and changes: `btree:/var/lib/postfix/verify_cache`. */
import { ChangingFile } from './changing-file.ts';
import type { Table, TableContext } from './definition.ts';
import { folding } from './fold.ts';
import { type Change, changeTable, writablePath } from './table-build.ts';

export interface ChangingTable extends Table {
  /**
   * Makes all changes or none.
   *
   * @returns for each whether it changed anything, once they are on stable storage
   * @throws {TableError}
   */
  change(changes: readonly Change[]): boolean[];
}

/** Opens a table of a type that postmap writes; one that is not there is made. @throws {TableError} */
export function openChanging(name: string, context: TableContext): ChangingTable {
  changeTable(name, [], context);
  const file = new ChangingFile(writablePath(name));
  const fold = folding(context);
  return {
    name,
    pattern: false,
    lookup: (key) => file.get(fold(key)),
    entries: () => file.entries(),
    change(changes) {
      const folded = changes.map((change) => ({ ...change, key: fold(change.key) }));
      return file.change(folded) ?? changeTable(name, changes, context);
    },
    // Each request sees the file that is there.
    changed: () => false,
    close: () => file.close(),
  };
}
