import { formatAttributes } from '../ipc/attributes.ts';
import { connectPatiently, PATIENT } from '../ipc/connect-patiently.ts';
import type { IpcConnection } from '../ipc/connection.ts';
import { ConnectionPool } from '../ipc/connection-pool.ts';
import { IpcError } from '../ipc/error.ts';
import { int, str } from '../ipc/fields.ts';
import { expectProtocolWith } from '../ipc/greeting.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';
import { type ClientOptions, LIMITS, TIMEOUT_MS } from './options.ts';
import { retrying } from './retry.ts';

/** What cleanup is asked to do with a message. ipc.md 3.1. */
export const CLEANUP_FLAG = {
  /** Return bad messages to the sender itself. */
  BOUNCE: 1,
  /** Header and body checks. */
  FILTER: 2,
  HOLD: 4,
  DISCARD: 8,
  /** always_bcc and the like. */
  BCC_OK: 16,
  /** Canonical, virtual, masquerade. */
  MAP_OK: 32,
  MILTER: 64,
  /** The reason may be a whole SMTP reply. */
  SMTP_REPLY: 128,
  SMTPUTF8: 256,
  /** Detect SMTPUTF8. */
  AUTOUTF8: 512,
} as const;

/** What cleanup says of a message; 0: it is queued. */
export const CLEANUP_STATUS = {
  BAD: 1,
  WRITE: 2,
  SIZE: 4,
  CONT: 8,
  HOPS: 16,
  RCPT: 64,
  PROXY: 128,
  DEFER: 256,
  NOPERM: 512,
  BARE_LF: 65536,
} as const;

/** How a message ended. */
export interface CleanupResult {
  /** CLEANUP_STATUS bits. */
  readonly status: number;
  readonly reason: string;
}

/** One message on its way into the queue. Finish it or abort it. */
export interface CleanupMessage {
  readonly queueId: string;
  /** Sends records; await the promise, if there is one, before the next: cleanup is slow. */
  write(records: Buffer): Promise<void> | void;
  /**
   * Lets somebody else talk over the connection, after all records so far. Absent where there is
   * none: the message goes somewhere else first.
   */
  borrow?<T>(action: (connection: IpcConnection) => Promise<T>): Promise<T>;
  /**
   * After the end record: waits until the message is safe, or refused. A cleanup that died, or
   * that does not answer, counts as `CLEANUP_STATUS.WRITE`.
   */
  finish(): Promise<CleanupResult>;
  /** Nothing of the message remains. Harmless after `finish`. */
  abort(): void;
}

export interface CleanupOptions extends ClientOptions {
  /** `public/cleanup` unless given. */
  readonly socketPath?: string;
}

const ANNOUNCEMENT = { protocol: str, queueId: str.named('queue_id') };
const REPLY = { status: int, reason: str };
/** Records are sent in pieces of at least this size. */
const PIECE_BYTES = 32 * 1024;
/** Queue ids become part of file names. */
const QUEUE_ID = /^[0-9A-Za-z]{6,32}$/;

/** Hands messages to cleanup(8). */
export class CleanupClient {
  readonly #kept: ConnectionPool;
  readonly #connect: () => Promise<IpcConnection>;
  readonly #options: CleanupOptions;

  constructor(options: CleanupOptions = {}) {
    const path = options.socketPath ?? 'public/cleanup';
    this.#options = options;
    this.#connect = () =>
      connectPatiently(path, options.timeoutMs ?? TIMEOUT_MS, { patience: PATIENT, ...options });
    this.#kept = new ConnectionPool(this.#connect, options.limits ?? LIMITS);
  }

  /**
   * Begins a message: cleanup makes a queue file for it.
   *
   * @param flags CLEANUP_FLAG
   * @throws {IpcError} when cleanup can't be had: try later
   */
  async open(flags: number): Promise<CleanupMessage> {
    const request = formatAttributes([['flags', flags]]);
    const { connection, queueId } = await retrying(this.#options, () => this.#announced(request));
    if (QUEUE_ID.test(queueId)) return this.#message(connection, queueId);
    connection.abort();
    throw new IpcError(`bad queue id from ${connection.peer}`);
  }

  async #announced(request: Buffer): Promise<{ connection: IpcConnection; queueId: string }> {
    for (;;) {
      const { connection, reused } = await this.#kept.acquire();
      try {
        // On a kept connection it is our flags that ask for the next announcement.
        if (reused) await connection.send(request);
        const { queueId } = await expectProtocolWith(connection, PROTOCOLS.cleanup, ANNOUNCEMENT);
        if (!reused) await connection.send(request);
        return { connection, queueId };
      } catch (error) {
        connection.abort();
        if (!reused) throw error;
      }
    }
  }

  close(): void {
    this.#kept.close();
  }

  /** Small pieces wait for each other: cleanup has nothing to say before the end anyway. */
  #message(connection: IpcConnection, queueId: string): CleanupMessage {
    let pieces: Buffer[] = [];
    let bytes = 0;
    const flush = () => {
      if (bytes === 0) return undefined;
      const all = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, bytes);
      pieces = [];
      bytes = 0;
      return connection.post(all as Buffer);
    };
    return {
      queueId,
      write(records) {
        pieces.push(records);
        bytes += records.length;
        return bytes < PIECE_BYTES ? undefined : flush();
      },
      async borrow(action) {
        await flush();
        return action(connection);
      },
      finish: () => this.#finish(connection, queueId, flush),
      abort: () => connection.abort(),
    };
  }

  async #finish(
    connection: IpcConnection,
    queueId: string,
    flush: () => Promise<void> | undefined,
  ): Promise<CleanupResult> {
    try {
      await flush();
      const reply = await connection.receive(REPLY, { extra: true });
      if (reply === undefined) {
        throw new IpcError(`unexpected end-of-input from ${connection.peer}`);
      }
      if (connection.takeKeep()) this.#kept.release(connection);
      else connection.close();
      return reply;
    } catch (error) {
      connection.abort();
      this.#options.log?.warn({ kind: 'text', queueId, text: (error as Error).message });
      return { status: CLEANUP_STATUS.WRITE, reason: '' };
    }
  }
}
