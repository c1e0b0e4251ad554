/** hash, btree, lmdb, cdb, dbm, sdbm: files that postmap has made from a source. */
import { statSync } from 'node:fs';
import { now } from '../clock/clock.ts';
import { type Table, type TableContext, TableError, TableOpenError } from './definition.ts';
import { folding } from './fold.ts';
import { foreignFormat } from './foreign-file.ts';
import { IndexedFile } from './indexed-file.ts';
import { openWatched, watchOnly } from './source-file.ts';

/** Each type has its own file name, as administrators and their Makefiles know it. */
export const INDEXED_SUFFIX = {
  hash: '.db',
  btree: '.db',
  lmdb: '.lmdb',
  cdb: '.cdb',
  dbm: '.pag',
  sdbm: '.pag',
} as const;

export type IndexedType = keyof typeof INDEXED_SUFFIX;

export function isIndexedType(type: string): type is IndexedType {
  return Object.hasOwn(INDEXED_SUFFIX, type);
}

/** A source changed more recently may still be in the editor's hands, or in postmap's. */
const SOURCE_GRACE_MS = 100_000;

/** Opens `hash:/path`. @throws {TableOpenError} */
export function openIndexed(type: IndexedType, path: string, context: TableContext): Table {
  const name = `${type}:${path}`;
  const databasePath = path + INDEXED_SUFFIX[type];
  const watched = watchOnly(databasePath, 'open database');
  let file: IndexedFile;
  try {
    file = openFile(name, databasePath, context);
  } catch (error) {
    watched.close();
    throw error;
  }
  warnWhenOlderThanSource(path, databasePath, context);
  const fold = folding(context);
  return {
    name,
    pattern: false,
    lookup(key) {
      try {
        return file.get(fold(key));
      } catch (error) {
        throw new TableError(`table ${name}: ${reasonOf(error)}`, { cause: error });
      }
    },
    entries: () => file.entries(),
    changed: () => watched.changed(),
    close() {
      file.close();
      watched.close();
    },
  };
}

function openFile(name: string, path: string, context: TableContext): IndexedFile {
  try {
    return new IndexedFile(path);
  } catch (cause) {
    const foreign = foreignFormatOf(path);
    const what = foreign === undefined ? reasonOf(cause) : `it is ${foreign}, not a table of ours`;
    throw new TableOpenError(`open database ${path}: ${what}; run: ${mending(name, context)}`, {
      cause,
    });
  }
}

/** @throws {TableOpenError} when it can't be read at all */
function foreignFormatOf(path: string): string | undefined {
  const file = openWatched(path, 'open database');
  try {
    return foreignFormat(file.fd);
  } finally {
    file.close();
  }
}

/** The command that makes the table anew. */
function mending(name: string, { configuration }: TableContext): string {
  const listed = (parameter: string) => configuration?.text(parameter).includes(name) ?? false;
  if (listed('alias_database')) return 'newaliases';
  return listed('alias_maps') ? `postalias ${name}` : `postmap ${name}`;
}

function warnWhenOlderThanSource(path: string, databasePath: string, context: TableContext): void {
  const source = statSync(path, { throwIfNoEntry: false });
  const database = statSync(databasePath, { throwIfNoEntry: false });
  if (source === undefined || database === undefined) return;
  if (source.mtimeMs > database.mtimeMs && source.mtimeMs < now() - SOURCE_GRACE_MS) {
    context.log?.warn(`database ${databasePath} is older than source file ${path}`);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
