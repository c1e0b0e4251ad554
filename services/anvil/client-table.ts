import type { Peaks } from './peaks.ts';

/** What is counted for each client: connections and requests of this time unit. */
export type Rate = 'connection' | 'message' | 'recipient' | 'newtls' | 'auth';

/** One client of one service. */
export interface ClientRecord {
  readonly ident: string;
  /** Connections that are open now. */
  readonly count: number;
  readonly rates: Readonly<Record<Rate, number>>;
}

/** A server process at the other end of a connection to us: it has one client at a time. */
export interface Reporter {
  /** The client that it told us of. */
  client?: Entry | undefined;
}

interface Entry extends ClientRecord {
  count: number;
  readonly rates: Record<Rate, number>;
  /** When the time unit began that its rates are for. */
  startedAt: number;
}

const NONE: Readonly<Record<Rate, number>> = {
  connection: 0,
  message: 0,
  recipient: 0,
  newtls: 0,
  auth: 0,
};

/**
 * The clients that are connected, and those that left less than a time unit ago. Rates start again
 * with zero once their time unit is over, which is simpler than an average, and faster to notice
 * who begins to hammer.
 *
 * Times are milliseconds, and come from the caller.
 */
export class ClientTable {
  readonly #unitMs: number;
  readonly #peaks: Peaks;
  readonly #entries = new Map<string, Entry>();
  /** Those without a connection, and when the last one ended: who left first comes first. */
  readonly #gone = new Map<Entry, number>();

  constructor(unitMs: number, peaks: Peaks) {
    this.#unitMs = unitMs;
    this.#peaks = peaks;
  }

  /** A client has connected. The one that the reporter had before must have gone. */
  connect(ident: string, reporter: Reporter, time: number): ClientRecord {
    const entry = this.#join(ident, reporter, time);
    this.#peaks.note('connection rate', entry.rates.connection, ident, time);
    this.#peaks.note('connection count', entry.count, ident, time);
    return entry;
  }

  /** A client has gone; nothing happens unless the reporter had told us of it. */
  disconnect(ident: string, reporter: Reporter, time: number): void {
    if (reporter.client?.ident === ident) this.release(reporter, time);
  }

  /** The reporter has gone, and its client with it. */
  release(reporter: Reporter, time: number): void {
    const entry = reporter.client;
    reporter.client = undefined;
    if (entry === undefined) return;
    entry.count -= 1;
    if (entry.count === 0) this.#gone.set(entry, time);
  }

  /**
   * A client has asked for something. One that we never heard of is connected: we are new here.
   *
   * @returns how often it did in this time unit
   */
  add(rate: Exclude<Rate, 'connection'>, ident: string, reporter: Reporter, time: number): number {
    const entry = this.#find(ident, time) ?? this.#join(ident, reporter, time);
    this.#increment(entry, rate, time);
    this.#peaks.note(`${rate} rate`, entry.rates[rate], ident, time);
    return entry.rates[rate];
  }

  /** What is known of a client; changes nothing. */
  lookup(ident: string, time: number): ClientRecord {
    const entry = this.#find(ident, time);
    if (entry === undefined) return { ident, count: 0, rates: NONE };
    return this.#isOver(entry, time) ? { ident, count: entry.count, rates: NONE } : entry;
  }

  #find(ident: string, time: number): Entry | undefined {
    this.#forget(time);
    return this.#entries.get(ident);
  }

  #join(ident: string, reporter: Reporter, time: number): Entry {
    this.release(reporter, time);
    const entry = this.#find(ident, time) ?? this.#enter(ident, time);
    this.#gone.delete(entry);
    entry.count += 1;
    this.#increment(entry, 'connection', time);
    reporter.client = entry;
    return entry;
  }

  #enter(ident: string, time: number): Entry {
    const entry: Entry = { ident, count: 0, rates: { ...NONE }, startedAt: time };
    this.#entries.set(ident, entry);
    this.#peaks.note('cache size', this.#entries.size, undefined, time);
    return entry;
  }

  #increment(entry: Entry, rate: Rate, time: number): void {
    if (this.#isOver(entry, time)) {
      Object.assign(entry.rates, NONE);
      entry.startedAt = time;
    }
    entry.rates[rate] += 1;
  }

  #isOver({ startedAt }: Entry, time: number): boolean {
    return time - startedAt > this.#unitMs;
  }

  /** Drops those who left a time unit ago. */
  #forget(time: number): void {
    for (const [entry, leftAt] of this.#gone) {
      if (time - leftAt < this.#unitMs) return;
      this.#gone.delete(entry);
      this.#entries.delete(entry.ident);
    }
  }
}
