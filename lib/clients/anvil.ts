import { formatAttributes } from '../ipc/attributes.ts';
import { connectPatiently, IMPATIENT } from '../ipc/connect-patiently.ts';
import type { IpcConnection } from '../ipc/connection.ts';
import { int, type Shape, type Values } from '../ipc/fields.ts';
import { expectProtocol } from '../ipc/greeting.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';
import { type ClientOptions, TIMEOUT_MS } from './options.ts';

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
}

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
 * Counts what a client does, in anvil(8), for all processes. anvil takes the connections of a
 * client back when the process that counted them goes away. It never stops mail: every answer is
 * `undefined` when anvil fails, with a warning in the log.
 *
 * `ident` is `service:address`.
 */
export class AnvilClient {
  readonly #options: AnvilOptions;
  #connection: IpcConnection | undefined;
  /** Requests are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: AnvilOptions = {}) {
    this.#options = options;
  }

  connect(ident: string): Promise<ConnectionCounts | undefined> {
    return this.#ask('connect', ident, CONNECT_REPLY);
  }

  async disconnect(ident: string): Promise<void> {
    await this.#ask('disconnect', ident, STATUS_REPLY);
  }

  /** @returns how many of these the client has made in this time unit */
  async count(event: AnvilEvent, ident: string): Promise<number | undefined> {
    return (await this.#ask(event, ident, RATE_REPLY))?.rate;
  }

  /** How many new TLS sessions there were; counts nothing. */
  async newTlsRate(ident: string): Promise<number | undefined> {
    return (await this.#ask('newtls_status', ident, RATE_REPLY))?.rate;
  }

  lookup(ident: string): Promise<ClientCounts | undefined> {
    return this.#ask('lookup', ident, LOOKUP_REPLY);
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #ask<S extends Shape & { status: typeof int }>(
    request: string,
    ident: string,
    shape: S,
  ): Promise<Values<S> | undefined> {
    const answer = this.#last.then(() => this.#exchange(request, ident, shape));
    this.#last = answer;
    return answer;
  }

  async #exchange<S extends Shape & { status: typeof int }>(
    request: string,
    ident: string,
    shape: S,
  ): Promise<Values<S> | undefined> {
    const bytes = formatAttributes(
      [
        ['request', request],
        ['ident', ident],
      ],
      { form: 'plain' },
    );
    try {
      const reused = this.#connection !== undefined && !this.#connection.isStale;
      const reply = await this.#attempt(bytes, shape);
      // anvil may have left and come back meanwhile.
      const answer = reply ?? (reused ? await this.#attempt(bytes, shape) : undefined);
      return answer !== undefined && (answer as { status: number }).status === 0
        ? answer
        : undefined;
    } catch (error) {
      this.#connection?.abort();
      this.#connection = undefined;
      this.#options.log?.warn((error as Error).message);
      return undefined;
    }
  }

  async #attempt<S extends Shape>(request: Buffer, shape: S): Promise<Values<S> | undefined> {
    const connection = await this.#connected();
    await connection.send(request);
    const reply = await connection.receive(shape, { extra: true });
    if (reply === undefined) {
      connection.abort();
      this.#connection = undefined;
    }
    return reply as Values<S> | undefined;
  }

  async #connected(): Promise<IpcConnection> {
    if (this.#connection?.isStale === false) return this.#connection;
    this.#connection?.abort();
    this.#connection = undefined;
    const { socketPath = 'private/anvil', timeoutMs = TIMEOUT_MS } = this.#options;
    const connection = await connectPatiently(socketPath, timeoutMs, {
      patience: IMPATIENT,
      ...this.#options,
      form: 'plain',
    });
    this.#connection = connection;
    await expectProtocol(connection, PROTOCOLS.anvil);
    return connection;
  }
}
