/** Notices that a table has changed, and ends the process for it when nobody waits for an answer. */
import type { Log } from '../../lib/log/log.ts';
import type { Table } from '../../lib/table/table.ts';

export class TableWatch {
  readonly #tables: readonly Table[];
  readonly #log: Log;
  #requests = 0;
  #changed: Table | undefined;

  constructor(tables: readonly Table[], log: Log) {
    this.#tables = tables;
    this.#log = log;
  }

  /** The first attribute of each answer. 1: a table has changed; connect anew after this answer. */
  flag(): 0 | 1 {
    this.#changed ??= this.#tables.find((table) => table.changed());
    return this.#changed === undefined ? 0 : 1;
  }

  /** Runs one request; after the last of them the process leaves, when a table has changed. */
  async during<Value>(request: () => Promise<Value>): Promise<Value> {
    this.#requests += 1;
    try {
      return await request();
    } finally {
      this.#requests -= 1;
      if (this.#changed !== undefined) this.leaveIfChanged();
    }
  }

  /** Whoever comes next gets a process that has opened the new table. */
  leaveIfChanged(): void {
    if (this.flag() === 0 || this.#requests > 0) return;
    this.#log.info(`table ${this.#changed?.name} has changed -- restarting`);
    this.#log.flush();
    process.exit(0);
  }
}
