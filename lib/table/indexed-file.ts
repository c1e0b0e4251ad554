/**
 * The file that postmap writes for `hash:`, `btree:` and their like: an SQLite database with one
 * relation. Always made whole beside the old one and put in its place by rename, so a reader never
 * sees half a table. Only here: better-sqlite3, loaded when the first such file is opened.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import type Database from 'better-sqlite3';

type SqliteModule = typeof Database;
type Statement = Database.Statement<unknown[], unknown>;

/** "PHst", in the file's header: this SQLite file is a lookup table of ours. */
export const APPLICATION_ID = 0x5048_7374;
export const FORMAT_VERSION = 1;
/** A table of a million entries has about so many KiB. */
const BUILD_CACHE_KIB = 65_536;

/** The module, loaded when the first file is opened. */
export function sqlite(): SqliteModule {
  return createRequire(import.meta.url)('better-sqlite3') as SqliteModule;
}

/** One change of a table: `value` is put in, or without one the key is taken out. */
export interface Change {
  readonly key: string;
  readonly value?: string;
}

/**
 * A process that died while it changed the file in place (changing-file.ts) has left a journal: undoes
 * what it had begun.
 *
 * @throws when the file is damaged, or not for us to write
 */
export function undoUnfinished(path: string): void {
  if (!existsSync(`${path}-journal`)) return;
  const database = new (sqlite())(path, { fileMustExist: true });
  try {
    database.pragma('application_id');
  } finally {
    database.close();
  }
}

/** A table file opened for lookups. */
export class IndexedFile {
  readonly #database: Database.Database;
  readonly #get: Statement;

  /** @throws when it is not one of our files, or damaged; the message says which */
  constructor(path: string) {
    undoUnfinished(path);
    this.#database = new (sqlite())(path, { readonly: true, fileMustExist: true });
    try {
      const id = this.#database.pragma('application_id', { simple: true });
      const version = this.#database.pragma('user_version', { simple: true });
      if (id !== APPLICATION_ID) throw new Error('an SQLite file, but not made by postmap');
      if (version !== FORMAT_VERSION)
        throw new Error(`made by another version (format ${version})`);
      // One transaction for as long as it is open: no lock and no look for a journal per lookup.
      // Nobody waits for it: writers make a new file while somebody reads this one.
      this.#database.exec('BEGIN');
      this.#get = this.#database.prepare('SELECT value FROM entry WHERE key = ?').pluck();
      this.#get.get('');
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  get(key: string): string | undefined {
    return this.#get.get(key) as string | undefined;
  }

  *entries(): Generator<readonly [key: string, value: string]> {
    const all = this.#database.prepare('SELECT key, value FROM entry ORDER BY key').raw();
    yield* all.iterate() as Iterable<[string, string]>;
  }

  close(): void {
    this.#database.close();
  }
}

/** What became of one entry that was put in. */
export type PutResult = 'added' | 'replaced' | 'duplicate';

/** A new table file, invisible until it is committed. */
export class NewIndexedFile {
  readonly #path: string;
  readonly #temporary: string;
  readonly #database: Database.Database;
  readonly #insert: Statement;
  readonly #replace: Statement;
  readonly #delete: Statement;

  /** @param copy start from the entries of the file that is there */
  constructor(path: string, copy = false) {
    this.#path = path;
    this.#temporary = `${path}.${process.pid}.new`;
    rmSync(this.#temporary, { force: true });
    // Exclusively: in a directory that others may write to, nobody else's file is followed.
    closeSync(openSync(this.#temporary, 'wx', 0o600));
    if (copy) {
      undoUnfinished(path);
      copyFileSync(path, this.#temporary);
    }
    this.#database = new (sqlite())(this.#temporary);
    try {
      this.#prepare(copy);
      this.#insert = this.#database.prepare('INSERT OR IGNORE INTO entry VALUES (?, ?)');
      this.#replace = this.#database.prepare('REPLACE INTO entry VALUES (?, ?)');
      this.#delete = this.#database.prepare('DELETE FROM entry WHERE key = ?');
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  #prepare(copy: boolean): void {
    // No journal: a half-written file is never looked at, only thrown away.
    this.#database.pragma('journal_mode = OFF');
    this.#database.pragma('synchronous = OFF');
    // Keys come in no order: pages that have to be read again and again are most of the work.
    this.#database.pragma(`cache_size = -${BUILD_CACHE_KIB}`);
    if (!copy) {
      this.#database.pragma(`application_id = ${APPLICATION_ID}`);
      this.#database.pragma(`user_version = ${FORMAT_VERSION}`);
      this.#database.exec(
        'CREATE TABLE entry (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID',
      );
    }
    this.#database.exec('BEGIN');
  }

  /** Adds an entry; an existing one stays, unless `overwrite`. */
  put(key: string, value: string, overwrite = false): PutResult {
    if (this.#insert.run(key, value).changes > 0) return 'added';
    if (!overwrite) return 'duplicate';
    this.#replace.run(key, value);
    return 'replaced';
  }

  /** @returns whether it was there */
  remove(key: string): boolean {
    return this.#delete.run(key).changes > 0;
  }

  /** Makes it durable, and puts it in the place of the old table. */
  commit(attributes: { mode: number; uid?: number; gid?: number }): void {
    this.#database.exec('COMMIT');
    this.#database.close();
    const fd = openSync(this.#temporary, 'r+');
    try {
      giveTo(fd, attributes);
      fchmodSync(fd, attributes.mode & 0o777);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    // It would be played back into the new file.
    rmSync(`${this.#path}-journal`, { force: true });
    renameSync(this.#temporary, this.#path);
  }

  /** Gives it up; harmless after commit. */
  discard(): void {
    this.#database.close();
    rmSync(this.#temporary, { force: true });
  }
}

/** A table that is replaced keeps its owner, when we are the superuser. */
function giveTo(fd: number, { uid, gid }: { uid?: number; gid?: number }): void {
  if (uid === undefined || gid === undefined || process.geteuid?.() !== 0) return;
  fchownSync(fd, uid, gid);
}
