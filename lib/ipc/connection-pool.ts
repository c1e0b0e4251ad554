import { after, monotonic, type Timer } from '../clock/clock.ts';
import type { IpcConnection } from './connection.ts';

export interface PoolLimits {
  /** A connection that nobody has used for so long is closed (ipc_idle). */
  readonly idleMs: number;
  /** A connection older than this is not used again (ipc_ttl). */
  readonly ttlMs: number;
}

/** A connection of a pool, lent to one request. */
export interface Lease {
  readonly connection: IpcConnection;
  /** It has served before: when it turns out to be closed, that means nothing. */
  readonly reused: boolean;
}

interface Idle {
  readonly connection: IpcConnection;
  readonly createdAt: number;
  readonly idleSince: number;
}

/** Open connections to one server that nobody is using just now. */
export class ConnectionPool {
  readonly #open: () => Promise<IpcConnection>;
  readonly #limits: PoolLimits;
  readonly #created = new WeakMap<IpcConnection, number>();
  /** The most recently used is last, and first to be used again. */
  #idle: Idle[] = [];
  #timer: Timer | undefined;

  /** @param open connects, and reads the announcement */
  constructor(open: () => Promise<IpcConnection>, limits: PoolLimits) {
    this.#open = open;
    this.#limits = limits;
  }

  /** Lends a connection that is there, if there is one. */
  takeIdle(): Lease | undefined {
    const now = monotonic();
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      const { connection, createdAt } = idle;
      if (!connection.isStale && now - createdAt < this.#limits.ttlMs) {
        return { connection, reused: true };
      }
      connection.close();
    }
    return undefined;
  }

  /** Lends a connection; give it back with `release`, or close it. */
  async acquire(): Promise<Lease> {
    const idle = this.takeIdle();
    if (idle !== undefined) return idle;
    const connection = await this.#open();
    this.#created.set(connection, monotonic());
    return { connection, reused: false };
  }

  /** Takes a connection back whose server waits for the next request. */
  release(connection: IpcConnection): void {
    const now = monotonic();
    const createdAt = this.#created.get(connection) ?? now;
    this.#idle.push({ connection, createdAt, idleSince: now });
    this.#timer ??= after(this.#limits.idleMs, this.#expire).unref();
  }

  /** Closes what is not in use. */
  close(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    for (const { connection } of this.#idle) connection.close();
    this.#idle = [];
  }

  readonly #expire = (): void => {
    this.#timer = undefined;
    const now = monotonic();
    const fresh: Idle[] = [];
    for (const idle of this.#idle) {
      if (now - idle.idleSince < this.#limits.idleMs && !idle.connection.isStale) fresh.push(idle);
      else idle.connection.close();
    }
    this.#idle = fresh;
    const oldest = fresh[0];
    if (oldest === undefined) return;
    const delay = Math.max(0, oldest.idleSince + this.#limits.idleMs - now);
    this.#timer = after(delay, this.#expire).unref();
  };
}
