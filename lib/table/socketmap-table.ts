/** socketmap tables: a server answers, in netstrings. Postfix: socketmap_table(5). */
import { isUtf8 } from 'node:buffer';
import { Gate } from '../async/gate.ts';
import { IpcConnection } from '../ipc/connection.ts';
import { ConnectionPool, type Lease } from '../ipc/connection-pool.ts';
import { IpcError } from '../ipc/error.ts';
import { type Table, type TableContext, TableError, TableOpenError } from './definition.ts';
import { type Endpoint, inetEndpoint, unixEndpoint } from './endpoint.ts';
import { usesUtf8 } from './fold.ts';
import { formatNetstring, NetstringError, parseNetstring } from './netstring.ts';
import { plainTable } from './small-tables.ts';
import { refuseSensitive } from './trust.ts';

/** Postfix has no parameters for these. */
const TIMEOUT_MS = 100_000;
const LIMITS = { idleMs: 10_000, ttlMs: 100_000 };
const REPLY_BYTES_MAX = 100_000;
/** Requests that one table makes at the same time; the others wait. */
const CONNECTIONS_MAX = 16;

/** `socketmap:inet:host:port:name`, `socketmap:unix:path:name`. */
export function openSocketMap(text: string, context: TableContext): Table {
  const name = `socketmap:${text}`;
  refuseSensitive(name, context);
  const colon = text.lastIndexOf(':');
  if (colon <= 0) throw new TableOpenError('socketmap requires server:socketmap argument');
  const client = new SocketMapClient(name, parseEndpoint(text.slice(0, colon)), context);
  const map = text.slice(colon + 1);
  return {
    ...plainTable(name, (key) => client.lookup(`${map} ${key}`)),
    pattern: true,
    close: () => client.close(),
  };
}

function parseEndpoint(text: string): Endpoint {
  const colon = text.indexOf(':');
  const transport = colon < 0 ? text : text.slice(0, colon);
  const endpoint = colon < 0 ? '' : text.slice(colon + 1);
  if (endpoint === '') {
    throw new TableOpenError(`need service transport:endpoint instead of "${text}"`);
  }
  if (transport === 'unix') return unixEndpoint(endpoint);
  if (transport === 'inet') return inetEndpoint(endpoint, `socketmap:${text}`);
  throw new TableOpenError(`invalid transport name: ${transport} in service: ${text}`);
}

/** What a server says when it does not know: the word, and how the log calls it. */
const FAILURES: Readonly<Record<string, string>> = {
  TEMP: 'temporary',
  TIMEOUT: 'timeout',
  PERM: 'permanent',
};

class SocketMapClient {
  readonly #name: string;
  readonly #endpoint: Endpoint;
  readonly #context: TableContext;
  readonly #pool: ConnectionPool;
  readonly #gate = new Gate(CONNECTIONS_MAX);

  constructor(name: string, endpoint: Endpoint, context: TableContext) {
    this.#name = name;
    this.#endpoint = endpoint;
    this.#context = context;
    this.#pool = new ConnectionPool(() => this.#connect(), LIMITS);
  }

  /** @throws {TableError} */
  async lookup(request: string): Promise<string | undefined> {
    const bytes = formatNetstring(Buffer.from(request));
    return this.#interpret(await this.#gate.through(() => this.#exchange(bytes)));
  }

  close(): void {
    this.#pool.close();
  }

  async #connect(): Promise<IpcConnection> {
    try {
      const socket = await this.#endpoint.connect(TIMEOUT_MS);
      return new IpcConnection(socket, TIMEOUT_MS, { peer: this.#endpoint.name });
    } catch (error) {
      const reason = reasonOf(error);
      this.#context.log?.warn(`connect to ${this.#endpoint.name}: ${reason}`);
      throw this.#failed(reason, error);
    }
  }

  /** A server may have gone since we last heard of it: one more try, on a connection of its own. */
  async #exchange(request: Buffer): Promise<Buffer> {
    try {
      return await ask(await this.#pool.acquire(), request, this.#pool);
    } catch (error) {
      if (error instanceof TableError) throw error;
    }
    const connection = await this.#connect();
    try {
      return await ask({ connection, reused: false }, request, this.#pool);
    } catch (error) {
      throw this.#failed(reasonOf(error), error);
    }
  }

  #failed(reason: string, cause: unknown): TableError {
    this.#context.log?.warn(`table ${this.#name} lookup error: ${reason}`);
    return new TableError(
      `table ${this.#name}: query error: ${reason}; is the server at ${this.#endpoint.name} up?`,
      { cause },
    );
  }

  #interpret(reply: Buffer): string | undefined {
    const text = this.#decode(reply);
    const space = text.indexOf(' ');
    const status = space < 0 ? text : text.slice(0, space);
    const data = space < 0 ? undefined : text.slice(space + 1);
    if (status === 'OK') return data;
    if (status === 'NOTFOUND') return undefined;
    const kind = (Object.hasOwn(FAILURES, status) ? FAILURES[status] : undefined) ?? 'unknown';
    const unsaid = kind === 'unknown' && data === undefined ? '' : (data ?? '');
    const reason = unsaid === '' ? '' : `: ${unsaid}`;
    const words = `socketmap server ${kind} error${reason}`;
    this.#context.log?.warn(`${this.#name} ${words}`);
    throw new TableError(`table ${this.#name}: query error: ${words}`);
  }

  #decode(reply: Buffer): string {
    if (!isUtf8(reply) && usesUtf8(this.#context)) {
      throw new TableError(`table ${this.#name}: query error: the server's reply is not UTF-8`);
    }
    const text = reply.toString(isUtf8(reply) ? 'utf8' : 'latin1');
    const nul = text.indexOf('\0');
    return nul < 0 ? text : text.slice(0, nul);
  }
}

/** One request on one connection, which goes back to the pool when all went well. */
async function ask({ connection }: Lease, request: Buffer, pool: ConnectionPool): Promise<Buffer> {
  try {
    await connection.send(request);
    let bytes: Buffer = Buffer.alloc(0);
    for (;;) {
      const found = parseNetstring(bytes, REPLY_BYTES_MAX);
      if (found !== undefined) {
        if (found.next !== bytes.length) throw new NetstringError('input format error');
        pool.release(connection);
        return found.content;
      }
      const more = await connection.receiveBytes();
      if (more === undefined) throw new NetstringError('unexpected disconnect');
      bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
    }
  } catch (error) {
    connection.abort();
    if (error instanceof IpcError)
      throw new NetstringError('time limit exceeded', { cause: error });
    throw error;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
