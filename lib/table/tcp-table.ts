/** tcp tables: a server answers, one line for one line. Postfix: tcp_table(5). */
import { isUtf8 } from 'node:buffer';
import { Gate } from '../async/gate.ts';
import { sleep } from '../clock/clock.ts';
import { IpcConnection } from '../ipc/connection.ts';
import { ConnectionPool } from '../ipc/connection-pool.ts';
import { type Table, type TableContext, TableError } from './definition.ts';
import { type Endpoint, inetEndpoint } from './endpoint.ts';
import { usesUtf8 } from './fold.ts';
import { plainTable } from './small-tables.ts';
import { refuseSensitive } from './trust.ts';

/** Postfix has no parameters for these. */
const TIMEOUT_MS = 100_000;
const LIMITS = { idleMs: 100_000, ttlMs: 1_000_000 };
const REPLY_BYTES_MAX = 4096;
const TRIES = 10;
const PAUSE_MS = 1000;
/** Requests that one table makes at the same time; the others wait. */
const CONNECTIONS_MAX = 16;

const NEWLINE = 0x0a;
const PERCENT = 0x25;

/** `tcp:host:port`. */
export function openTcp(text: string, context: TableContext): Table {
  const name = `tcp:${text}`;
  refuseSensitive(name, context);
  const client = new TcpClient(name, inetEndpoint(text, name), context);
  return {
    ...plainTable(name, (key) => client.lookup(key)),
    pattern: true,
    close: () => client.close(),
  };
}

/** Percent signs, blanks, and all that is not printable ASCII, as %XX. */
export function encodeWord(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text)) {
    encoded +=
      byte > 0x20 && byte < 0x7f && byte !== PERCENT
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** @returns `undefined` when a percent sign is not followed by two hexadecimal digits */
export function decodeWord(line: Buffer): Buffer | undefined {
  const text = line.toString('latin1');
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  const decoded = text.replace(/%(..)/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return Buffer.from(decoded, 'latin1');
}

class TcpClient {
  readonly #name: string;
  readonly #endpoint: Endpoint;
  readonly #context: TableContext;
  readonly #pool: ConnectionPool;
  readonly #gate = new Gate(CONNECTIONS_MAX);
  #closed = false;

  constructor(name: string, endpoint: Endpoint, context: TableContext) {
    this.#name = name;
    this.#endpoint = endpoint;
    this.#context = context;
    this.#pool = new ConnectionPool(() => this.#connect(), LIMITS);
  }

  /** @throws {TableError} */
  async lookup(key: string): Promise<string | undefined> {
    const request = Buffer.from(`get ${encodeWord(key)}\n`);
    return this.#interpret(await this.#gate.through(() => this.#exchange(request)));
  }

  close(): void {
    this.#closed = true;
    this.#pool.close();
  }

  async #connect(): Promise<IpcConnection> {
    try {
      const socket = await this.#endpoint.connect(TIMEOUT_MS);
      return new IpcConnection(socket, TIMEOUT_MS, { peer: this.#endpoint.name });
    } catch (error) {
      this.#warn(`connect to TCP map ${this.#endpoint.name}: ${reasonOf(error)}`);
      throw error;
    }
  }

  async #exchange(request: Buffer): Promise<Buffer> {
    for (let count = 1; ; count += 1) {
      try {
        return await this.#ask(request);
      } catch (error) {
        if (count >= TRIES || this.#closed) throw this.#trouble(reasonOf(error), error);
      }
      await sleep(PAUSE_MS);
    }
  }

  async #ask(request: Buffer): Promise<Buffer> {
    const { connection } = await this.#pool.acquire();
    try {
      await connection.send(request);
      const line = await receiveLine(connection);
      this.#pool.release(connection);
      return line;
    } catch (error) {
      connection.abort();
      this.#warn(`read TCP map reply from ${this.#endpoint.name}: ${reasonOf(error)}`);
      throw error;
    }
  }

  #interpret(line: Buffer): string | undefined {
    const decoded = decodeWord(line);
    const text = decoded?.toString(isUtf8(decoded) ? 'utf8' : 'latin1') ?? '';
    if (decoded === undefined || !/^\d{3}\s/.test(text))
      throw this.#senseless('malformed reply', line);
    const value = text.slice(4).split('\0', 1)[0] ?? '';
    switch (text.charAt(0)) {
      case '2':
        if (isUtf8(decoded) || !usesUtf8(this.#context)) return value;
        throw this.#trouble("the server's reply is not UTF-8");
      case '5':
        return undefined;
      case '4':
        throw this.#trouble(value === '' ? 'the server cannot answer now' : value);
      default:
        throw this.#senseless('bad status code', line);
    }
  }

  #senseless(what: string, line: Buffer): TableError {
    const shown = line.toString('latin1').slice(0, 100);
    const words = `read TCP map reply from ${this.#endpoint.name}: ${what}: ${shown}`;
    this.#warn(words);
    return this.#trouble(words);
  }

  #trouble(reason: string, cause?: unknown): TableError {
    return new TableError(`table ${this.#name}: query error: ${reason}`, { cause });
  }

  #warn(text: string): void {
    this.#context.log?.warn(text);
  }
}

async function receiveLine(connection: IpcConnection): Promise<Buffer> {
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    const newline = bytes.indexOf(NEWLINE);
    if (newline >= REPLY_BYTES_MAX || (newline < 0 && bytes.length >= REPLY_BYTES_MAX)) {
      throw new TableError(`text longer than ${REPLY_BYTES_MAX}`);
    }
    // Bytes behind the line were not asked for: the pool does not use such a connection again.
    if (newline >= 0) {
      connection.unread(bytes.subarray(newline + 1));
      return bytes.subarray(0, newline);
    }
    const more = await connection.receiveBytes();
    if (more === undefined) throw new TableError('unexpected EOF');
    bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
