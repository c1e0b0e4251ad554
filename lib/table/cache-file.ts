/**
 * A table that a daemon keeps for itself: `btree:$data_directory/verify_cache`. It is a file as
 * postmap writes them, so that `postmap -s` lists it, but changed in place. What was put in last may
 * be lost with the machine. All of its files are open from the start: it works on inside another root
 * directory.
 */
import type Database from 'better-sqlite3';
import { FatalError } from '../log/fatal.ts';
import { withEffectiveUser } from '../os/identity.ts';
import { APPLICATION_ID, FORMAT_VERSION, sqlite } from './indexed-file.ts';
import { INDEXED_SUFFIX, isIndexedType } from './indexed-table.ts';
import { splitTableName } from './table.ts';

/** Somebody may be listing it. */
const BUSY_MS = 5000;

export class CacheFile {
  readonly #database: Database.Database;
  readonly #get: Database.Statement;
  readonly #put: Database.Statement;
  readonly #delete: Database.Statement;
  readonly #all: Database.Statement;
  readonly #page: Database.Statement;

  /**
   * The same, for a process that still has all rights: the file is its owner's.
   *
   * @param owner mail_owner
   * @throws {FatalError}
   */
  static open(name: string, owner: string): CacheFile {
    if (name === '' || process.geteuid?.() !== 0) return new CacheFile(name);
    return withEffectiveUser(owner, () => new CacheFile(name));
  }

  /**
   * Opens `btree:path`, or makes it; an empty name is a table in memory.
   *
   * @throws {FatalError} when it can't be used
   */
  constructor(name: string) {
    const path = name === '' ? ':memory:' : pathOf(name);
    try {
      this.#database = new (sqlite())(path, { timeout: BUSY_MS });
      const id = this.#database.pragma('application_id', { simple: true });
      if (id !== APPLICATION_ID) this.#make(id);
      this.#database.pragma('journal_mode = WAL');
      this.#database.pragma('synchronous = NORMAL');
      this.#database.pragma('temp_store = MEMORY');
      this.#get = this.#database.prepare('SELECT value FROM entry WHERE key = ?').pluck();
      this.#put = this.#database.prepare('REPLACE INTO entry VALUES (?, ?)');
      this.#delete = this.#database.prepare('DELETE FROM entry WHERE key = ?');
      this.#all = this.#database.prepare('SELECT key, value FROM entry').raw();
      const page = 'SELECT key, value FROM entry WHERE key > ? ORDER BY key LIMIT ?';
      this.#page = this.#database.prepare(page).raw();
      // What is read first opens the files that are beside it.
      this.#get.get('');
    } catch (error) {
      const why = `${(error as Error).message}; remove the file ${path} and it is made anew`;
      throw new FatalError(`open cache ${name}: ${why}`);
    }
  }

  get(key: string): string | undefined {
    return this.#get.get(key) as string | undefined;
  }

  put(key: string, value: string): void {
    this.#put.run(key, value);
  }

  remove(key: string): void {
    this.#delete.run(key);
  }

  entries(): [key: string, value: string][] {
    return this.#all.all() as [string, string][];
  }

  /** Some of the entries: those whose keys come after one; '' comes first. */
  page(after: string, count: number): [key: string, value: string][] {
    return this.#page.all(after, count) as [string, string][];
  }

  close(): void {
    this.#database.close();
  }

  #make(id: unknown): void {
    const isEmpty = this.#database.pragma('schema_version', { simple: true }) === 0;
    if (id !== 0 || !isEmpty) throw new Error('not a table of ours');
    this.#database.pragma(`application_id = ${APPLICATION_ID}`);
    this.#database.pragma(`user_version = ${FORMAT_VERSION}`);
    this.#database.exec(
      'CREATE TABLE entry (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID',
    );
  }
}

function pathOf(name: string): string {
  const { type, name: path } = splitTableName(name.replace(/^proxy:/, ''));
  if (isIndexedType(type)) return `${path}${INDEXED_SUFFIX[type]}`;
  throw new Error(`a cache can't be of type ${type}`);
}
