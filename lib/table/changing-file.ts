/**
 * A table file that proxywrite changes for its clients: in place, in one transaction for all changes
 * that come at the same time. While somebody else has the table open it is left as it is, and a new
 * one put in its place, as postmap does: nobody's answers change under their hands, and nobody has to
 * wait for them. A process that dies in the middle leaves a journal, by which the next one undoes it.
 */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { errorText } from '../os/error.ts';
import { flock } from '../os/locks.ts';
import { TableError, TableOpenError } from './definition.ts';
import { foreignFormat } from './foreign-file.ts';
import { APPLICATION_ID, type Change, sqlite } from './indexed-file.ts';

/** Readers that come and go, as postmap -q, have gone by then. */
const BUSY_MS = 20;

/** What is open: it stays so until the file at its path is another. */
interface Opened {
  readonly fd: number;
  readonly inode: number;
  readonly database: Database.Database;
  readonly get: Database.Statement;
  readonly put: Database.Statement;
  readonly remove: Database.Statement;
}

export class ChangingFile {
  readonly #path: string;
  #opened: Opened | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws {TableError} */
  get(key: string): string | undefined {
    return this.#try(() => this.#current().get.get(key) as string | undefined);
  }

  /** @throws {TableError} */
  entries(): [key: string, value: string][] {
    const all = 'SELECT key, value FROM entry ORDER BY key';
    return this.#try(() => this.#current().database.prepare(all).raw().all() as [string, string][]);
  }

  /**
   * Makes all changes or none.
   *
   * @returns for each whether it changed anything, once they are on stable storage; `undefined` when
   *   somebody else has the table open, so that nothing was changed
   * @throws {TableError}
   */
  change(changes: readonly Change[]): boolean[] | undefined {
    const { fd, database, put, remove } = this.#lock();
    try {
      // At once, so that no later step can find the file busy, but the last.
      database.exec('BEGIN IMMEDIATE');
      const done = changes.map(({ key, value }) => {
        return (value === undefined ? remove.run(key) : put.run(key, value)).changes > 0;
      });
      database.exec('COMMIT');
      return done;
    } catch (error) {
      if (database.inTransaction) database.exec('ROLLBACK');
      if ((error as { code?: unknown }).code === 'SQLITE_BUSY') return undefined;
      throw troubleOf(this.#path, error);
    } finally {
      flock(fd, 'unlock');
    }
  }

  close(): void {
    // In this order: closing a descriptor takes away the locks that SQLite has on the same file.
    this.#opened?.database.close();
    if (this.#opened !== undefined) closeSync(this.#opened.fd);
    this.#opened = undefined;
  }

  /** Against postmap, which must not copy the file while it changes. */
  #lock(): Opened {
    for (;;) {
      const opened = this.#try(() => this.#current());
      flock(opened.fd, 'exclusive', { wait: true });
      if (opened.inode === inodeAt(this.#path)) return opened;
      flock(opened.fd, 'unlock');
    }
  }

  #current(): Opened {
    if (this.#opened !== undefined && this.#opened.inode !== inodeAt(this.#path)) this.close();
    this.#opened ??= openForChanges(this.#path);
    return this.#opened;
  }

  #try<Value>(action: () => Value): Value {
    try {
      return action();
    } catch (error) {
      throw troubleOf(this.#path, error);
    }
  }
}

function openForChanges(path: string): Opened {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    const foreign = foreignFormat(fd);
    if (foreign !== undefined) {
      throw new TableOpenError(
        `open database ${path}: it is ${foreign}, not a table of ours; make it anew from its source first`,
      );
    }
    const database = new (sqlite())(path, { fileMustExist: true, timeout: BUSY_MS });
    try {
      if (database.pragma('application_id', { simple: true }) !== APPLICATION_ID) {
        throw new TableOpenError(`open database ${path}: an SQLite file, but not made by postmap`);
      }
      return {
        fd,
        inode: fstatSync(fd).ino,
        database,
        get: database.prepare('SELECT value FROM entry WHERE key = ?').pluck(),
        put: database.prepare('REPLACE INTO entry VALUES (?, ?)'),
        remove: database.prepare('DELETE FROM entry WHERE key = ?'),
      };
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function inodeAt(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

function troubleOf(path: string, error: unknown): Error {
  if (error instanceof TableError) return error;
  return new TableError(`open database ${path}: ${errorText(error)}`, { cause: error });
}
