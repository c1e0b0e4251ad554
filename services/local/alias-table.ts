/** The tables of alias_maps, and whose word each of them is. */
import { statSync } from 'node:fs';
import { splitList } from '../../lib/config/configuration.ts';
import { INDEXED_SUFFIX, isIndexedType } from '../../lib/table/indexed-table.ts';
import { openTable, type Table, type TableContext } from '../../lib/table/table.ts';

/** One table, and the user who owns it. */
export interface AliasTable {
  readonly table: Table;
  /** Whose rights commands and files in it have; 0 is root, and those of default_privs. */
  readonly owner: number;
}

/** Types that are a file of the name they are given. */
const FILE_TYPES: ReadonlySet<string> = new Set(['texthash', 'regexp', 'pcre', 'cidr']);

/** Opens the tables. `proxy:` is passed over, and `$1` in a pattern's result is refused. */
export function openAliasTables(text: string, context: TableContext): AliasTable[] {
  return splitList(text).map((item) => {
    const name = item.startsWith('proxy:') ? item.slice('proxy:'.length) : item;
    const table = openTable(name, { ...context, substitution: false, sensitive: true });
    return { table, owner: ownerOf(name) };
  });
}

/** Who may change the table; root, where its contents stand in main.cf. */
function ownerOf(name: string): number {
  const colon = name.indexOf(':');
  const type = name.slice(0, colon);
  const path = name.slice(colon + 1);
  const file = isIndexedType(type)
    ? path + INDEXED_SUFFIX[type]
    : FILE_TYPES.has(type)
      ? path
      : undefined;
  if (file === undefined) return 0;
  try {
    return statSync(file).uid;
  } catch {
    // A table that is not there answers nothing.
    return 0;
  }
}
