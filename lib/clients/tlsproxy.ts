/** Has tlsproxy(8) speak TLS with a client of ours, as the server. ipc.md 3.15. */
import type { Socket } from 'node:net';
import { IpcConnection } from '../ipc/connection.ts';
import { sendDescriptorBehind } from '../ipc/descriptors.ts';
import { IpcError } from '../ipc/error.ts';
import { int, str } from '../ipc/fields.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';

/** Bits of a request's `flags`. */
export const TLSPROXY_FLAGS = { server: 1, client: 2, sendContext: 4 } as const;

/** A client that asks for TLS. */
export interface TlsproxyRequest {
  /** `private/tlsproxy` */
  readonly socketPath: string;
  /** `[192.0.2.1]:12345` */
  readonly endpoint: string;
  /** For the handshake, and for each wait that follows. */
  readonly timeoutSeconds: number;
  /** Whose sessions the client may resume. */
  readonly serverId: string;
  /** tlsproxy has to be ready in this time. */
  readonly limitMs: number;
}

/** There is no TLS. */
export class TlsproxyError extends Error {
  override readonly name = 'TlsproxyError';
  /** For the log. */
  readonly lines: readonly string[];

  constructor(...lines: readonly string[]) {
    super(lines.join('; '));
    this.lines = lines;
  }
}

const ANNOUNCEMENT = { protocol: str };
const READY = { status: int };
const READY_STATUS = 1;
/** Postfix adds what errno happened to be. */
const ERRNO = 'Resource temporarily unavailable';

/** A tlsproxy that is ready for a client. */
export class ReadyTlsproxy {
  readonly #connection: IpcConnection;
  readonly #service: string;

  private constructor(connection: IpcConnection, service: string) {
    this.#connection = connection;
    this.#service = service;
  }

  /** Asks for TLS. @throws {TlsproxyError} */
  static async ask(request: TlsproxyRequest): Promise<ReadyTlsproxy> {
    const { socketPath, limitMs } = request;
    const service = `${socketPath} service`;
    const connection = await connect(socketPath, service, limitMs);
    try {
      await greet(connection, socketPath, service);
      await connection.send([
        ['remote_endpoint', request.endpoint],
        ['flags', TLSPROXY_FLAGS.server],
        ['timeout', request.timeoutSeconds],
        ['timeout', request.timeoutSeconds],
        ['serverid', request.serverId],
      ]);
      await confirm(connection, service);
      return new ReadyTlsproxy(connection, service);
    } catch (error) {
      connection.abort();
      throw error;
    }
  }

  /**
   * Hands the client's connection over.
   *
   * @returns what carries plain text from and to the client; paused, with nothing read from it
   * @throws {TlsproxyError}
   */
  async hand(fd: number): Promise<Socket> {
    const connection = this.#connection;
    try {
      await sendDescriptorBehind(connection, fd);
    } catch (error) {
      connection.abort();
      if (!(error instanceof IpcError)) throw error;
      throw new TlsproxyError(`problem sending file handle to ${this.#service}`);
    }
    const early = connection.detach();
    const { socket } = connection;
    if (early.length > 0) socket.unshift(early);
    return socket;
  }
}

async function connect(
  socketPath: string,
  service: string,
  limitMs: number,
): Promise<IpcConnection> {
  try {
    return await IpcConnection.connect(socketPath, limitMs);
  } catch (error) {
    if (!(error instanceof IpcError)) throw error;
    const why = error.message.replace(/^connect to [^:]*: /, '');
    throw new TlsproxyError(`connect to ${service}: ${why}`);
  }
}

async function greet(
  connection: IpcConnection,
  socketPath: string,
  service: string,
): Promise<void> {
  const what = `receiving protocol attribute from ${service}: ${ERRNO}`;
  const announced = await answered(() => connection.receive(ANNOUNCEMENT), what);
  // It has closed: Postfix finds that out when it asks.
  if (announced === undefined) {
    throw new TlsproxyError(`error sending request to ${service}: Broken pipe`);
  }
  const { protocol } = announced;
  if (protocol === PROTOCOLS.tlsproxy) return;
  const shown = protocol.slice(0, 100).replace(/[^\x20-\x7e]/g, '?');
  const expected = `(expected: ${PROTOCOLS.tlsproxy})`;
  throw new TlsproxyError(
    `unexpected protocol ${shown} from ${socketPath} ${expected}`,
    `problem ${what}`,
  );
}

async function confirm(connection: IpcConnection, service: string): Promise<void> {
  const what = `receiving status from ${service}`;
  const reply = await answered(() => connection.receive(READY), what);
  if (reply?.status !== READY_STATUS) throw new TlsproxyError(`problem ${what}`);
}

async function answered<T>(receive: () => Promise<T>, what: string): Promise<T> {
  try {
    return await receive();
  } catch (error) {
    if (!(error instanceof IpcError)) throw error;
    const trouble = error.message.startsWith('timeout') ? 'timeout' : 'problem';
    throw new TlsproxyError(`${trouble} ${what}`);
  }
}
