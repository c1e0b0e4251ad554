/**
 * Notices that a table has changed. The process then keeps no connection any more, and ends when its
 * last client has gone: whoever comes next gets one that has opened the new table, with the rights
 * that we had before we dropped them.
 */
import { every, monotonic } from '../../lib/clock/clock.ts';
import type { Log } from '../../lib/log/log.ts';

/** Looking at files costs; nobody edits tables faster. */
const LOOK_MS = 1000;
/** How soon a process that nobody asks sees it. */
const WATCH_MS = 10_000;

export class TableWatch {
  readonly #changedTable: () => string | undefined;
  readonly #log: Log;
  readonly #closing = new AbortController();
  #clients = 0;
  #lookedAt = monotonic();
  #changed: string | undefined;

  /**
   * @param changedTable names a table that has changed
   * @param stopping the process has been told to leave
   */
  constructor(changedTable: () => string | undefined, stopping: AbortSignal, log: Log) {
    this.#changedTable = changedTable;
    this.#log = log;
    stopping.addEventListener('abort', () => this.#closing.abort());
  }

  /** Connections are not to be kept any more. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  start(): void {
    every(WATCH_MS, () => this.#look()).unref();
  }

  /** Serves one client. */
  async during(serve: () => Promise<void>): Promise<void> {
    this.#clients += 1;
    try {
      if (monotonic() - this.#lookedAt > LOOK_MS) this.#look();
      await serve();
    } finally {
      this.#clients -= 1;
      this.#leaveIfChanged();
    }
  }

  #look(): void {
    this.#lookedAt = monotonic();
    this.#changed ??= this.#changedTable();
    if (this.#changed === undefined) return;
    this.#closing.abort();
    this.#leaveIfChanged();
  }

  #leaveIfChanged(): void {
    if (this.#changed === undefined || this.#clients > 0) return;
    this.#log.info(`table ${this.#changed} has changed -- restarting`);
    this.#log.flush();
    process.exit(0);
  }
}
