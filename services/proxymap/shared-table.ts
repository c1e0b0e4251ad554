/** One table that clients share: opened when the first asks, and anew when its file has changed. */
import { monotonic } from '../../lib/clock/clock.ts';
import type { Log } from '../../lib/log/log.ts';
import { type ChangingTable, openChanging } from '../../lib/table/changing-table.ts';
import { openApart, type Table, type TableContext, TableError } from '../../lib/table/table.ts';
import type { Change } from '../../lib/table/table-build.ts';

/** Looking at files costs; nobody edits tables faster. */
const LOOK_MS = 1000;

interface Waiting {
  readonly change: Change;
  readonly resolve: (changed: boolean) => void;
  readonly reject: (error: unknown) => void;
}

export interface SharedTableOptions {
  readonly name: string;
  readonly context: TableContext;
  readonly log: Log;
  /** It may be changed through us: then each request sees the changes before it. */
  readonly writable: boolean;
}

export class SharedTable {
  readonly #options: SharedTableOptions;
  #table: Table | ChangingTable | undefined;
  #trouble: TableError | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** Requests that have not been answered; a table is closed only when nobody waits for it. */
  readonly #users = new Map<Table, number>();
  readonly #retired = new Set<Table>();
  #waiting: Waiting[] = [];

  constructor(options: SharedTableOptions) {
    this.#options = options;
  }

  /** Whether parts of addresses are not asked for; so, too, when the table can't be opened. */
  get pattern(): boolean {
    try {
      return this.#current().pattern;
    } catch {
      return true;
    }
  }

  /** @throws {TableError} */
  async lookup(key: string): Promise<string | undefined> {
    const table = this.#current();
    this.#users.set(table, (this.#users.get(table) ?? 0) + 1);
    try {
      return await table.lookup(key);
    } finally {
      this.#release(table);
    }
  }

  /** All entries as they are now. @throws {TableError} when the table can't list them */
  entries(): Iterable<readonly [string, string]> {
    const table = this.#current();
    if (table.entries === undefined) {
      throw new TableError(`table ${table.name}: sequence operation is not supported`);
    }
    return [...table.entries()];
  }

  /**
   * Makes one change; those that come at the same time are written together.
   *
   * @returns whether it changed anything, once that is on stable storage
   * @throws {TableError} (rejects)
   */
  change(change: Change): Promise<boolean> {
    const table = this.#openInMemory();
    if (table?.update !== undefined && change.value !== undefined) {
      table.update(change.key, change.value);
      return Promise.resolve(true);
    }
    if (table?.remove !== undefined) return Promise.resolve(table.remove(change.key));
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#write());
      this.#waiting.push({ change, resolve, reject });
    });
  }

  #openInMemory(): Table | undefined {
    if (!this.#options.name.startsWith('internal:')) return undefined;
    return this.#current();
  }

  #write(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      const table = this.#current();
      if (!('change' in table)) throw new TableError(`table ${table.name}: it can't be changed`);
      const done = table.change(waiting.map(({ change }) => change));
      waiting.forEach(({ resolve }, index) => {
        resolve(done[index] === true);
      });
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }

  #current(): Table | ChangingTable {
    const { writable, log, name } = this.#options;
    const now = monotonic();
    if (!writable && now - this.#lookedAt < LOOK_MS) return this.#opened();
    this.#lookedAt = now;
    if (this.#table?.changed() === true) {
      if (!writable) log.info(`table ${name} has changed -- opened anew`);
      this.#retire(this.#table);
      this.#table = undefined;
    }
    if (this.#table === undefined) this.#open();
    return this.#opened();
  }

  #opened(): Table | ChangingTable {
    if (this.#table !== undefined) return this.#table;
    const { name, log } = this.#options;
    const reason = this.#trouble?.message ?? 'it is not open';
    log.warn(`${name} is unavailable. ${reason}`);
    throw this.#trouble ?? new TableError(reason);
  }

  #open(): void {
    const { name, context, log, writable } = this.#options;
    const before = this.#trouble?.message;
    this.#trouble = undefined;
    try {
      const isFile = writable && !name.startsWith('internal:');
      this.#table = isFile ? openChanging(name, context) : openApart(name, context);
    } catch (error) {
      this.#trouble =
        error instanceof TableError ? error : new TableError(String(error), { cause: error });
      if (this.#trouble.message !== before) log.error(this.#trouble.message);
    }
  }

  #release(table: Table): void {
    const left = (this.#users.get(table) ?? 1) - 1;
    if (left > 0) {
      this.#users.set(table, left);
      return;
    }
    this.#users.delete(table);
    if (this.#retired.delete(table)) table.close();
  }

  #retire(table: Table): void {
    if (this.#users.has(table)) this.#retired.add(table);
    else table.close();
  }
}
