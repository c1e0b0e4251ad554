/**
 * Notices that a table has changed. The process then finishes the clients it has, and takes no more:
 * the next one gets a process that has opened the new table, with the rights that we had before we
 * dropped them.
 */
import { every, monotonic } from '../clock/clock.ts';
import type { Log } from '../log/log.ts';
import type { Table } from '../table/table.ts';

/** Looking at files costs; nobody edits tables faster. */
const LOOK_MS = 1000;

export class TableWatch {
  readonly #tables: readonly Table[];
  readonly #retire: () => void;
  readonly #log: Log;
  #lookedAt = monotonic();
  #hasChanged = false;

  constructor(tables: readonly Table[], context: { retire(): void; readonly log: Log }) {
    this.#tables = tables;
    this.#retire = () => context.retire();
    this.#log = context.log;
  }

  /** Looks now and then, also when nobody comes. */
  start(): void {
    if (this.#tables.length > 0) every(LOOK_MS, () => this.look()).unref();
  }

  /** Call it for each client: it looks, unless it just has. */
  look(): void {
    if (this.#hasChanged || monotonic() - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = monotonic();
    const changed = this.#tables.find((table) => table.changed());
    if (changed === undefined) return;
    this.#hasChanged = true;
    this.#log.info(`table ${changed.name} has changed -- restarting`);
    this.#retire();
  }
}
