/** `proxy:type:name`: proxymap(8) opens the table, and answers. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Gate } from '../async/gate.ts';
import { monotonic, sleep } from '../clock/clock.ts';
import { processesParameters } from '../config/parameters/processes.ts';
import { parseValue } from '../config/value.ts';
import { formatAttributes } from '../ipc/attributes.ts';
import { IpcConnection } from '../ipc/connection.ts';
import { ConnectionPool } from '../ipc/connection-pool.ts';
import { exchange } from '../ipc/exchange.ts';
import { int, type Shape, str, type Values } from '../ipc/fields.ts';
import { expectProtocol } from '../ipc/greeting.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';
import {
  type Answer,
  type Table,
  type TableContext,
  TableError,
  TableOpenError,
} from './definition.ts';
import { flagsOf, PROXY_FLAG, PROXY_STATUS } from './proxy-protocol.ts';

/** Requests that one table makes at the same time; the others wait. */
const CONNECTIONS_MAX = 8;
/** A service that is not there may be about to be. */
const TRIES = 11;
const PAUSE_MS = 1000;
/** So long an answer is good for the same question; tables are looked at no more often than that. */
const FRESH_MS = 1000;
const ANSWERS_MAX = 1000;

const STATUS_REPLY = { status: int };
const LOOKUP_REPLY = { status: int, value: str };

/** Opens `proxy:type:name`; nothing is asked yet, so that a daemon starts without the service. */
export function openProxy(name: string, pattern: boolean, context: TableContext): Table {
  const client = new ProxyClient(name, 'proxymap', context);
  return {
    name: `proxy:${name}`,
    pattern,
    lookup: (key) => client.lookup(key),
    // proxymap notices, and opens the table anew.
    changed: () => false,
    close: () => client.close(),
  };
}

/** An answer, or the promise of one, and how long it is good for. */
interface Remembered {
  readonly answer: Answer;
  readonly until: number;
}

/** One table of proxymap or proxywrite. */
export class ProxyClient {
  readonly #name: string;
  readonly #context: TableContext;
  readonly #flags: number;
  readonly #parameter: 'proxy_read_maps' | 'proxy_write_maps';
  readonly #service: string;
  readonly #pool: ConnectionPool;
  readonly #timeoutMs: number;
  readonly #gate = new Gate(CONNECTIONS_MAX);
  readonly #answers = new Map<string, Remembered>();
  #closed = false;

  constructor(name: string, service: 'proxymap' | 'proxywrite', context: TableContext) {
    this.#name = name;
    this.#context = context;
    this.#flags = flagsOf(context);
    this.#parameter = service === 'proxymap' ? 'proxy_read_maps' : 'proxy_write_maps';
    this.#service = context.configuration?.text(`${service}_service_name`) || service;
    this.#timeoutMs = milliseconds('ipc_timeout', context);
    this.#pool = new ConnectionPool(() => this.#connect(), {
      idleMs: milliseconds('ipc_idle', context),
      ttlMs: milliseconds('ipc_ttl', context),
    });
  }

  /** @throws {TableError} (rejects) when the service can't be had, or can't answer */
  lookup(key: string): Answer {
    const now = monotonic();
    const known = this.#answers.get(key);
    if (known !== undefined && known.until > now) return known.answer;
    if (this.#answers.size >= ANSWERS_MAX) this.#answers.clear();
    const until = now + FRESH_MS;
    const answer = this.#lookup(key).then(
      (value) => {
        this.#answers.set(key, { answer: value, until });
        return value;
      },
      (error: unknown) => {
        this.#answers.delete(key);
        throw error;
      },
    );
    this.#answers.set(key, { answer, until: Number.POSITIVE_INFINITY });
    return answer;
  }

  /** @returns whether it was there. @throws {TableError} */
  async remove(key: string): Promise<boolean> {
    const flags = this.#flags | PROXY_FLAG.SYNC_UPDATE;
    const { status } = await this.#ask('delete', { flags, key }, STATUS_REPLY);
    if (status === PROXY_STATUS.OK || status === PROXY_STATUS.NOKEY) {
      return status === PROXY_STATUS.OK;
    }
    throw this.#refused(status);
  }

  close(): void {
    this.#closed = true;
    this.#pool.close();
  }

  async #lookup(key: string): Promise<string | undefined> {
    const request = { flags: this.#flags, key };
    const { status, value } = await this.#ask('lookup', request, LOOKUP_REPLY);
    if (status === PROXY_STATUS.OK) return value;
    if (status === PROXY_STATUS.NOKEY) return undefined;
    throw this.#refused(status);
  }

  #refused(status: number): TableError {
    const name = this.#name;
    if (status === PROXY_STATUS.DENY) {
      const text = `${this.#service} service is not configured for table "${name}"`;
      this.#context.log?.warn(`${text}; list proxy:${name} in ${this.#parameter}`);
      return new TableOpenError(text);
    }
    return new TableError(
      `table proxy:${name}: query error: ${this.#service} could not read the table; its log says why`,
    );
  }

  async #ask<S extends Shape>(
    request: string,
    attributes: Readonly<Record<string, string | number>>,
    shape: S,
  ): Promise<Values<S>> {
    const { flags = 0, ...rest } = attributes;
    const bytes = formatAttributes([
      ['request', request],
      ['table', this.#name],
      ['flags', flags],
      ...Object.entries(rest),
    ]);
    return this.#exchange(bytes, shape);
  }

  /** The service may be starting, or have died under somebody's request. */
  async #exchange<S extends Shape>(request: Buffer, shape: S): Promise<Values<S>> {
    for (let count = 1; ; count += 1) {
      try {
        const options = { extra: true, persistent: true };
        return await this.#gate.through(() => exchange(this.#pool, request, shape, options));
      } catch (error) {
        const reason = (error as Error).message.replace(/^connect to [^:]*: /, '');
        const path = this.#path();
        if (count >= TRIES || this.#closed) {
          throw new TableError(
            `table proxy:${this.#name}: query error: connect #${count} to subsystem ${path}: ${reason}; is the mail system up, with ${this.#service} in master.cf?`,
            { cause: error },
          );
        }
        this.#context.log?.warn(`connect #${count} to subsystem ${path}: ${reason}`);
      }
      await sleep(PAUSE_MS);
    }
  }

  async #connect(): Promise<IpcConnection> {
    const connection = await IpcConnection.connect(this.#path(), this.#timeoutMs);
    try {
      await expectProtocol(connection, PROTOCOLS.proxymap);
      return connection;
    } catch (error) {
      connection.abort();
      throw error;
    }
  }

  /** Daemons are in the queue directory, which may be all that they see; commands are anywhere. */
  #path(): string {
    const relative = `private/${this.#service}`;
    const queue = this.#context.configuration?.text('queue_directory') ?? '';
    return queue === '' || existsSync(relative) ? relative : join(queue, relative);
  }
}

/** A time of main.cf, or its default. @throws {ValueError} when it is none */
function milliseconds(
  name: 'ipc_timeout' | 'ipc_idle' | 'ipc_ttl',
  { configuration }: TableContext,
): number {
  const parameter = processesParameters[name];
  const text = configuration?.text(name) || parameter.fallback;
  return Number(parseValue(name, parameter, text, 's')) * 1000;
}
