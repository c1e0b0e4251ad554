/** What every lookup table is, whatever stands behind it. Postfix: DATABASE_README. */

/** An answer from a table: found text, nothing, or either of them later. */
export type Answer = string | undefined | Promise<string | undefined>;

export interface Table {
  /** As written in main.cf: `hash:/etc/aliases`. */
  readonly name: string;
  /** The table is asked for whole keys only, never for parts of an address: regexp, cidr ... */
  readonly pattern: boolean;
  /** Nobody knows how long a lookup takes: the administrator's expressions, the sender's text. */
  readonly mayStall?: boolean;
  /** A short key is enough for that: an event loop never asks it, but has a thread do it. */
  readonly mayStallForLong?: boolean;
  /** @throws {TableError} (or rejects) when the answer cannot be known now; the caller defers */
  lookup(key: string): Answer;
  /** The line of the rule that answers; tables whose keys are not in their source. */
  lineOf?(key: string): number | undefined;
  /** All entries, for `postmap -s`; tables that cannot list them have no such function. */
  entries?(): Iterable<readonly [key: string, value: string]>;
  /** Puts an entry in, and takes one out; tables that live in memory only. */
  update?(key: string, value: string): void;
  remove?(key: string): boolean;
  /** Whether the file behind the table is no longer the one that was opened. */
  changed(): boolean;
  close(): void;
}

/** Where a table's warnings go; a Log is one. */
export interface TableLog {
  warn(text: string): void;
  error(text: string): void;
}

/** The surroundings that a table is opened in. */
export interface TableContext {
  readonly configuration?: { text(name: string): string };
  readonly log?: TableLog;
  /** Told of each table that a daemon opens, so that somebody can watch it. */
  readonly opened?: (table: Table) => void;
  /** Has a table that may stall for long answer in a thread; commands only keep themselves waiting. */
  readonly apart?: ((table: Table, context: TableContext) => Table) | undefined;
  /** False: keys are not folded to lower case (`postmap -f`). */
  readonly fold?: boolean;
  /** False: `$1` in a pattern's result is refused, where a sender could abuse it. */
  readonly substitution?: boolean;
  /**
   * The answers decide whose rights something has: `proxy:` is opened in this process, and servers
   * that nobody has authenticated are refused.
   */
  readonly sensitive?: boolean;
  /** We are proxymap(8): `proxy:` is opened in this process. */
  readonly proxied?: boolean;
  /** The table's values name files; the lookup gives their base64 contents (`postmap -F`). */
  readonly valuesAreFiles?: boolean;
  /** True: of two entries with one key the first counts; else such a source is no table at all. */
  readonly duplicates?: boolean;
  /** False: text that is not UTF-8 is taken as it is (`postmap -u`). */
  readonly utf8?: boolean;
}

/** Opens one table of a type; `name` is what follows the colon. */
export type TableOpener = (name: string, context: TableContext) => Table;

/** Temporary trouble: "not known now" is never "not found". Callers defer the mail. */
export class TableError extends Error {
  override readonly name = 'TableError';
}

/** The table cannot be opened. Commands stop with this text; daemons defer what needs the table. */
export class TableOpenError extends TableError {}
