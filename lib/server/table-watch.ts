/**
 * Notices that a table has changed. A process that has kept the rights it began with may open its
 * tables anew. Any other finishes the clients it has, and takes no more: the next one gets a process
 * that has opened the new table.
 */
import { every, monotonic } from '../clock/clock.ts';
import type { Configuration } from '../config/configuration.ts';
import type { Log } from '../log/log.ts';
import type { Table, TableContext } from '../table/definition.ts';
import { answerInThreads } from '../table/threaded-table.ts';

/** Looking at files costs; nobody edits tables faster. */
const LOOK_MS = 1000;

/** What may change: a table, or something else that says what it is. */
export type Watched = Pick<Table, 'name' | 'changed'>;

/** The surroundings to open tables in: those that are opened so are watched. */
export class TableWatch implements TableContext {
  readonly configuration: Configuration;
  readonly log: Log;
  /** Called by openTable. */
  readonly opened = (table: Table): void => {
    this.#tables.push(table);
  };
  /** Called by openTable. */
  readonly apart = (table: Table, context: TableContext): Table => {
    const threaded = answerInThreads(table, context, {
      limitMs: this.configuration.get('pattern_time_limit') * 1000,
      lost: () => this.#lost(),
    });
    this.#opening.push(threaded.ready);
    return threaded;
  };
  #opening: Promise<unknown>[] = [];
  #tables: Table[] = [];
  readonly #others: Watched[] = [];
  readonly #changed: (name: string) => void;
  readonly #lost: () => void;
  #lookedAt = monotonic();
  #isOutdated = false;

  /**
   * @param changed what to do about what it names: `renew`, or to leave
   * @param lost what to do about a thread that never comes back from a table: to leave
   */
  constructor(
    configuration: Configuration,
    log: Log,
    changed: (name: string) => void,
    lost: () => void = () => {},
  ) {
    this.configuration = configuration;
    this.log = log;
    this.#changed = changed;
    this.#lost = lost;
  }

  /** All tables that answer in threads are open there, too: rights may be dropped. */
  async ready(): Promise<void> {
    await Promise.all(this.#opening.splice(0));
  }

  /** Watches something that is no table; its name says what it is. */
  watch(watched: Watched): void {
    this.#others.push(watched);
  }

  /** Whether a table has changed, and the process is leaving for it. */
  get isOutdated(): boolean {
    return this.#isOutdated;
  }

  /** Looks now and then, also when nobody comes. */
  start(): void {
    if (this.#tables.length + this.#others.length > 0) every(LOOK_MS, () => this.lookNow()).unref();
  }

  /** For each client: looks, unless it just has. */
  look(): void {
    if (monotonic() - this.#lookedAt >= LOOK_MS) this.lookNow();
  }

  /** For those who must not answer from an old table. */
  lookNow(): void {
    if (this.#isOutdated) return;
    this.#lookedAt = monotonic();
    const table = this.#tables.find((each) => each.changed());
    const other = this.#others.find((each) => each.changed());
    if (table === undefined && other === undefined) return;
    this.#isOutdated = true;
    this.#changed(table === undefined ? (other?.name ?? '') : `table ${table.name}`);
  }

  /** Forgets the tables, which `open` then opens anew. Whoever has opened the old ones closes them. */
  renew(open: () => void): void {
    this.#tables = [];
    open();
    this.#isOutdated = false;
  }
}
