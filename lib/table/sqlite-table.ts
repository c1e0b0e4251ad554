/** sqlite tables: an SQL query answers. Postfix: sqlite_table(5). */
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import type Database from 'better-sqlite3';
import { monotonic, sleep } from '../clock/clock.ts';
import { type MatchAnswer, type MatchList, parseMatchList } from '../config/match-list.ts';
import { type ClientSettings, readClientSettings } from './client-settings.ts';
import {
  type Answer,
  type Table,
  type TableContext,
  TableError,
  TableOpenError,
} from './definition.ts';
import { folding } from './fold.ts';
import { parseTemplate, QueryTemplates } from './query-template.ts';

/** A writer holds the database for moments; the event loop does not wait for it. */
const LOCK_PATIENCE_MS = 5000;
const LOCK_PAUSE_MS = 50;
/** SQLite goes through so much in a few milliseconds. */
const SCAN_BYTES_MAX = 4 * 1024 * 1024;

/** `sqlite:/file.cf`. @param openMember opens the tables that `domain` names */
export function openSqlite(
  name: string,
  context: TableContext,
  openMember: (name: string, context: TableContext) => Table,
): Table {
  const settings = readClientSettings(name, context);
  try {
    return new SqliteTable(name, settings, context, openMember);
  } catch (error) {
    settings.file?.close();
    throw error;
  }
}

class SqliteTable implements Table {
  readonly name: string;
  readonly pattern = false;
  readonly mayStallForLong: boolean;
  readonly #settings: ClientSettings;
  readonly #context: TableContext;
  readonly #path: string;
  readonly #inode: number | undefined;
  readonly #database: Database.Database;
  readonly #templates: QueryTemplates;
  readonly #limit: number;
  readonly #domains: MatchList | undefined;
  readonly #members: Table[] = [];
  readonly #fold: (key: string) => string;

  constructor(
    name: string,
    settings: ClientSettings,
    context: TableContext,
    openMember: (name: string, context: TableContext) => Table,
  ) {
    const { where } = settings;
    this.name = `sqlite:${name}`;
    this.#settings = settings;
    this.#context = context;
    this.#fold = folding(context);
    this.#path = settings.text('dbpath', '', 1);
    this.#limit = settings.number('expansion_limit', 0);
    this.#templates = new QueryTemplates(
      parseTemplate(queryOf(settings), where, 'query'),
      parseTemplate(settings.text('result_format', '%s', 1), where, 'result'),
    );
    const domains = settings.text('domain', '');
    const openTable = (member: string) => {
      const table = openMember(member, context);
      this.#members.push(table);
      return table;
    };
    this.#domains =
      domains === '' ? undefined : parseMatchList(domains, { name: `${where}: domain`, openTable });
    this.#database = openDatabase(this.#path, this.name, where);
    this.#inode = inodeOf(this.#path);
    // A name that is no path has its settings in main.cf, which a thread does not read.
    this.mayStallForLong = settings.file !== undefined && this.#isCostly();
  }

  /** Whether the query goes through all of a big table, or calls itself. */
  #isCostly(): boolean {
    const sql = this.#templates.query('x@example.com', quote);
    if (sql === undefined) return false;
    try {
      const plan = this.#database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
      const steps = plan.map((step) => (step as { detail?: string }).detail ?? '');
      if (steps.some((step) => step.startsWith('RECURSIVE'))) return true;
      return sizeOf(this.#path) > SCAN_BYTES_MAX && steps.some((step) => step.startsWith('SCAN'));
    } catch {
      // Whoever looks something up hears why.
      return false;
    }
  }

  lookup(key: string): Answer {
    const folded = this.#fold(key);
    if (folded === '') {
      this.#context.log?.warn(`table "${this.name}": empty query string -- ignored`);
      return undefined;
    }
    if (this.#domains === undefined) return this.#ask(folded);
    const at = folded.lastIndexOf('@');
    if (at < 0) return undefined;
    const answer = this.#domains.matchText(folded.slice(at + 1));
    const ask = ({ matched }: MatchAnswer) => (matched ? this.#ask(folded) : undefined);
    return answer instanceof Promise ? answer.then(ask) : ask(answer);
  }

  /** The configuration was edited, or another database was put in the place of this one. */
  changed(): boolean {
    if (this.#settings.file?.changed() === true) return true;
    const inode = inodeOf(this.#path);
    return inode !== undefined && inode !== this.#inode;
  }

  close(): void {
    this.#database.close();
    for (const member of this.#members) member.close();
    this.#settings.file?.close();
  }

  #ask(key: string): Answer {
    const sql = this.#templates.query(key, quote);
    if (sql === undefined) return undefined;
    try {
      return this.#answer(sql, key);
    } catch (error) {
      if (!isBusy(error)) throw this.#trouble(error);
      return this.#askAgain(sql, key);
    }
  }

  async #askAgain(sql: string, key: string): Promise<string | undefined> {
    const start = monotonic();
    for (;;) {
      await sleep(LOCK_PAUSE_MS);
      try {
        return this.#answer(sql, key);
      } catch (error) {
        if (!isBusy(error) || monotonic() - start > LOCK_PATIENCE_MS) throw this.#trouble(error);
      }
    }
  }

  #answer(sql: string, key: string): string | undefined {
    const statement = this.#database.prepare(sql).raw().safeIntegers();
    const results: string[] = [];
    for (const row of statement.iterate() as Iterable<readonly unknown[]>) {
      const value = textOf(row[0]);
      if (value === '') {
        this.#context.log?.warn(
          `table "${this.name}": empty lookup result for: "${key}" -- ignored`,
        );
      }
      if (value === undefined || value === '') continue;
      const result = this.#templates.result(value, key);
      if (result === undefined) continue;
      results.push(result);
      if (this.#limit > 0 && results.length > this.#limit) throw this.#tooMany(key);
    }
    return results.length === 0 ? undefined : results.join(',');
  }

  #tooMany(key: string): TableError {
    const { where } = this.#settings;
    const text = `dict_sqlite_lookup: ${where}: Expansion limit exceeded for key '${key}'`;
    this.#context.log?.warn(text);
    return new TableError(
      `table ${this.name}: query error: more than ${this.#limit} results for "${key}"; see expansion_limit in ${where}`,
    );
  }

  #trouble(error: unknown): TableError {
    if (error instanceof TableError) return error;
    const { where } = this.#settings;
    const reason = error instanceof Error ? error.message : String(error);
    return new TableError(
      `table ${this.name}: query error: ${reason} (${this.#path}); mend the query in ${where}`,
      { cause: error },
    );
  }
}

function openDatabase(path: string, name: string, where: string): Database.Database {
  try {
    const Sqlite = createRequire(import.meta.url)('better-sqlite3') as typeof Database;
    return new Sqlite(path, { readonly: true, fileMustExist: true, timeout: 0 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TableOpenError(
      `${name}: Can't open database: ${reason} (${path}); see dbpath in ${where}`,
      { cause: error },
    );
  }
}

/** The query; before Postfix 2.2 it was put together from four parameters. */
function queryOf(settings: ClientSettings): string {
  const query = settings.text('query', '');
  if (query !== '') return query;
  const table = settings.text('table', '', 1);
  const select = settings.text('select_field', '', 1);
  const where = settings.text('where_field', '', 1);
  const more = settings.text('additional_conditions', '');
  return `SELECT ${select} FROM ${table} WHERE ${where} = '%s' ${more}`;
}

/** Inside single quotes, where a template puts it, text can't end the string. */
function quote(text: string): string {
  return text.replaceAll("'", "''");
}

/** A value as SQLite would show it; NULL is no value. */
function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'number') return Number.isInteger(value) ? `${value}.0` : String(value);
  const text = Buffer.isBuffer(value) ? value.toString() : String(value);
  return text.split('\0', 1)[0];
}

function isBusy(error: unknown): boolean {
  const { code = '' } = error as { code?: string };
  return code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED');
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}
