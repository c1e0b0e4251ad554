/** The tables of one parameter, asked in their order. */
import { type Answer, type Table, TableError, type TableLog } from './definition.ts';

/** An answer and where it came from: the trail of a decision. */
export interface Found {
  readonly value: string;
  /** `hash:/etc/postfix/transport` */
  readonly table: string;
  /** The key that was found, as it was asked. */
  readonly key: string;
}

type FoundAnswer = Found | undefined | Promise<Found | undefined>;

export class TableList {
  /** The parameter that lists them: `transport_maps`. */
  readonly parameter: string;
  readonly tables: readonly Table[];
  readonly #log: TableLog | undefined;

  constructor(parameter: string, tables: readonly Table[], log?: TableLog) {
    this.parameter = parameter;
    this.tables = tables;
    this.#log = log;
  }

  /**
   * Asks one table after the other for `key`, until one knows it; `partial` keys (parts of an
   * address) are not put to pattern tables.
   *
   * @throws {TableError} (or rejects) when a table is in trouble; logged
   */
  lookup(key: string, partial = false): FoundAnswer {
    return this.#ask(key, partial, 0);
  }

  /** Whether an answer may take so long that no event loop should wait for it. */
  get mayStall(): boolean {
    return this.tables.some((table) => table.mayStall);
  }

  /** Whether a file behind any of them is no longer the one that was opened. */
  changed(): boolean {
    return this.tables.some((table) => table.changed());
  }

  close(): void {
    for (const table of this.tables) table.close();
  }

  #ask(key: string, partial: boolean, from: number): FoundAnswer {
    // An empty key finds nothing: some table types would answer with nonsense.
    if (key === '') return undefined;
    for (let at = from; at < this.tables.length; at += 1) {
      const table = this.tables[at];
      if (table === undefined || (partial && table.pattern)) continue;
      const value = this.#answerOf(table, key);
      if (value instanceof Promise) {
        return value.then(
          (later) => this.#found(table, key, later) ?? this.#ask(key, partial, at + 1),
          (error: unknown) => this.#trouble(table, key, error),
        );
      }
      if (value !== undefined) return this.#found(table, key, value);
    }
    return undefined;
  }

  #answerOf(table: Table, key: string): Answer {
    try {
      return table.lookup(key);
    } catch (error) {
      return this.#trouble(table, key, error);
    }
  }

  #found(table: Table, key: string, value: string | undefined): Found | undefined {
    if (value === undefined) return undefined;
    if (value !== '') return { value, table: table.name, key };
    this.#log?.warn(`${this.parameter} lookup of ${key} returns an empty string result`);
    this.#log?.warn(`${this.parameter} should return NO RESULT in case of NOT FOUND`);
    throw new TableError(`${this.parameter}: ${table.name}: empty result for "${key}"`);
  }

  #trouble(table: Table, key: string, error: unknown): never {
    if (error instanceof TableError) {
      this.#log?.warn(`${table.name} lookup error for "${key.slice(0, 100)}"`);
    }
    throw error;
  }
}
