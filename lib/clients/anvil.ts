import { monotonic } from '../clock/clock.ts';
import { formatAttributes } from '../ipc/attributes.ts';
import { connectPatiently, IMPATIENT } from '../ipc/connect-patiently.ts';
import type { IpcConnection } from '../ipc/connection.ts';
import { ConnectionPool, type Lease } from '../ipc/connection-pool.ts';
import { IpcError } from '../ipc/error.ts';
import { exchange } from '../ipc/exchange.ts';
import { int, type Shape, type Values } from '../ipc/fields.ts';
import { expectProtocol } from '../ipc/greeting.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';
import { type ClientOptions, LIMITS } from './options.ts';

/** Connections of one client: open now, and made in this time unit. */
export interface ConnectionCounts {
  readonly count: number;
  readonly rate: number;
}

/** Everything that anvil knows of one client. */
export interface ClientCounts extends ConnectionCounts {
  readonly mail: number;
  readonly rcpt: number;
  readonly newtls: number;
  readonly auth: number;
}

/** What is counted besides connections. */
export type AnvilEvent = 'message' | 'recipient' | 'newtls' | 'auth';

export interface AnvilOptions extends ClientOptions {
  /** `private/anvil` unless given. */
  readonly socketPath?: string;
  /** How long a failing anvil is not asked again. */
  readonly pauseMs?: number;
}

/** A client of ours waits for anvil before it is greeted: better no limits than no mail. */
const WAIT_MS = 10_000;
const PAUSE_MS = 10_000;

type Reply = Shape & { status: typeof int };

const CONNECT_REPLY = { status: int, count: int, rate: int };
const RATE_REPLY = { status: int, rate: int };
const STATUS_REPLY = { status: int };
const LOOKUP_REPLY = {
  status: int,
  count: int,
  rate: int,
  mail: int,
  rcpt: int,
  newtls: int,
  auth: int,
};

/**
 * Has anvil(8) count what clients do, for all processes. It never stops mail: every answer is
 * `undefined` when anvil fails. The log says so once, and again when anvil is back.
 */
export class AnvilClient {
  readonly #options: AnvilOptions;
  readonly #waitMs: number;
  readonly #pool: ConnectionPool;
  #isFailing = false;
  #pausedUntil = 0;

  constructor(options: AnvilOptions = {}) {
    this.#options = options;
    this.#waitMs = Math.min(options.timeoutMs ?? WAIT_MS, WAIT_MS);
    this.#pool = new ConnectionPool(() => this.#open(), options.limits ?? LIMITS);
  }

  /** A client that has connected to us. @param ident `service:address` */
  visit(ident: string): AnvilVisit {
    return new AnvilVisit(ident, this.#pool, (question) => this.#attempt(question));
  }

  /** What anvil knows of a client; counts nothing. */
  lookup(ident: string): Promise<ClientCounts | undefined> {
    return this.#attempt(() =>
      exchange(this.#pool, formatRequest('lookup', ident), LOOKUP_REPLY, {
        extra: true,
        persistent: true,
      }),
    );
  }

  close(): void {
    this.#pool.close();
  }

  async #attempt<T>(question: () => Promise<T>): Promise<T | undefined> {
    if (monotonic() < this.#pausedUntil) return undefined;
    // Just one asks whether it is back: the others need not wait.
    if (this.#isFailing) this.#pausedUntil = Number.POSITIVE_INFINITY;
    try {
      const answer = await question();
      this.#pausedUntil = 0;
      if (this.#isFailing) this.#options.log?.info('anvil answers again');
      this.#isFailing = false;
      return answer;
    } catch (error) {
      this.#pausedUntil = monotonic() + (this.#options.pauseMs ?? PAUSE_MS);
      if (!(error instanceof IpcError)) throw error;
      if (!this.#isFailing) {
        const { message } = error;
        this.#options.log?.warn(`${message} -- going on without limits for clients`);
      }
      this.#isFailing = true;
      return undefined;
    }
  }

  async #open(): Promise<IpcConnection> {
    const { socketPath = 'private/anvil' } = this.#options;
    const connection = await connectPatiently(socketPath, this.#waitMs, {
      patience: IMPATIENT,
      form: 'plain',
    });
    try {
      await expectProtocol(connection, PROTOCOLS.anvil);
    } catch (error) {
      connection.abort();
      throw error;
    }
    return connection;
  }
}

/**
 * One client, from its connecting to us to its leaving. It has a connection to anvil to itself:
 * Postfix's anvil remembers one client for each, and takes it for gone when the connection closes,
 * so that nobody stays counted whose process has died.
 */
export class AnvilVisit {
  readonly #ident: string;
  readonly #pool: ConnectionPool;
  readonly #attempt: <T>(question: () => Promise<T>) => Promise<T | undefined>;
  #lease: Lease | undefined;
  /** Requests are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param attempt asks, and answers `undefined` when that fails */
  constructor(
    ident: string,
    pool: ConnectionPool,
    attempt: <T>(question: () => Promise<T>) => Promise<T | undefined>,
  ) {
    this.#ident = ident;
    this.#pool = pool;
    this.#attempt = attempt;
  }

  connect(): Promise<ConnectionCounts | undefined> {
    return this.#ask('connect', CONNECT_REPLY);
  }

  /** @returns how many of these the client has made in this time unit */
  async count(event: AnvilEvent): Promise<number | undefined> {
    return (await this.#ask(event, RATE_REPLY))?.rate;
  }

  /** How many new TLS sessions there were; counts nothing. */
  async newTlsRate(): Promise<number | undefined> {
    return (await this.#ask('newtls_status', RATE_REPLY))?.rate;
  }

  /** The client has gone. Nobody needs to wait for it. */
  async disconnect(): Promise<void> {
    await this.#last;
    const connection = this.#lease?.connection;
    // An anvil that has gone meanwhile has forgotten the client.
    if (connection === undefined || connection.isStale) return this.#drop();
    const answer = await this.#ask('disconnect', STATUS_REPLY);
    if (answer === undefined || this.#lease === undefined) return this.#drop();
    this.#pool.release(this.#lease.connection);
    this.#lease = undefined;
  }

  #ask<S extends Reply>(request: string, shape: S): Promise<Values<S> | undefined> {
    const answer = this.#last.then(() => this.#attempt(() => this.#exchange(request, shape)));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async #exchange<S extends Reply>(request: string, shape: S): Promise<Values<S>> {
    // A connection of ours that anvil has closed meanwhile: it has left, and master starts another.
    for (;;) {
      if (this.#lease?.connection.isStale) this.#drop();
      const wasOpen = this.#lease !== undefined;
      this.#lease ??= await this.#pool.acquire();
      const { connection, reused } = this.#lease;
      try {
        const answer = await ask(connection, request, this.#ident, shape);
        if (answer !== undefined) return answer;
      } catch (error) {
        this.#drop();
        throw error;
      }
      this.#drop();
      if (!wasOpen && !reused) throw new IpcError(`${connection.peer}: closed without an answer`);
    }
  }

  #drop(): void {
    this.#lease?.connection.abort();
    this.#lease = undefined;
  }
}

/** @returns `undefined` when anvil has closed the connection instead */
async function ask<S extends Reply>(
  connection: IpcConnection,
  request: string,
  ident: string,
  shape: S,
): Promise<Values<S> | undefined> {
  await connection.send(formatRequest(request, ident));
  const answer = await connection.receive(shape, { extra: true });
  const status = (answer as { status: number } | undefined)?.status ?? 0;
  if (status !== 0) throw new IpcError(`${connection.peer}: status ${status} for ${request}`);
  return answer;
}

function formatRequest(request: string, ident: string): Buffer {
  return formatAttributes(
    [
      ['request', request],
      ['ident', ident],
    ],
    { form: 'plain' },
  );
}
