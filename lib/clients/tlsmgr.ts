import { formatAttributes } from '../ipc/attributes.ts';
import { PATIENT } from '../ipc/connect-patiently.ts';
import type { ConnectionPool } from '../ipc/connection-pool.ts';
import { exchange } from '../ipc/exchange.ts';
import { data, int, type Shape, type Values } from '../ipc/fields.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';
import type { TicketKey, TlsManager } from '../tls/ticket-keys.ts';
import type { ClientOptions } from './options.ts';
import { openServicePool } from './service-pool.ts';

/** ipc.md 3.14. */
export const TLSMGR_STATUS = { OK: 0, BAD_REQUEST: -1, NOT_FOUND: -2 } as const;

/** Whose sessions are remembered. */
export type SessionCache = 'smtpd' | 'smtp' | 'lmtp';

const NAME_BYTES = 16;
const SECRET_BYTES = 64;
/** A name, a key for AES-256, one for HMAC, and a time_t. */
export const TICKET_KEY_SIZE = NAME_BYTES + SECRET_BYTES + 8;

export function formatTicketKey({ name, secret, expires }: TicketKey): Buffer {
  const time = Buffer.alloc(8);
  time.writeBigInt64LE(BigInt(expires));
  return Buffer.concat([name, secret, time]);
}

/** @returns `undefined` when these bytes are none */
export function parseTicketKey(bytes: Buffer): TicketKey | undefined {
  if (bytes.length !== TICKET_KEY_SIZE) return undefined;
  return {
    name: Buffer.from(bytes.subarray(0, NAME_BYTES)),
    secret: Buffer.from(bytes.subarray(NAME_BYTES, NAME_BYTES + SECRET_BYTES)),
    expires: Number(bytes.readBigInt64LE(NAME_BYTES + SECRET_BYTES)),
  };
}

export interface TlsmgrOptions extends ClientOptions {
  /** `private/tlsmgr` unless given. */
  readonly socketPath?: string;
}

const STATUS_REPLY = { status: int };
const SEED_REPLY = { status: int, seed: data };
const POLICY_REPLY = { status: int, cachable: int, timeout: int };
const SESSION_REPLY = { status: int, session: data };
const KEY_REPLY = { status: int, key: data.named('keybuf') };

/** A handshake does not wait for what only saves the next one some work. */
export const TLSMGR_LIMITS = { timeoutMs: 5000, patience: { tries: 3, pauseMs: 200 } };

/** Asks tlsmgr(8). Everything here throws an IpcError when it can't be had. */
export class TlsmgrClient implements TlsManager {
  readonly #pool: ConnectionPool;

  constructor(options: TlsmgrOptions = {}) {
    const path = options.socketPath ?? 'private/tlsmgr';
    this.#pool = openServicePool(path, PROTOCOLS.tlsmgr, options.patience ?? PATIENT, options);
  }

  /** Random bytes, at most 255; `undefined` when it has none to give. */
  async seed(size: number): Promise<Buffer | undefined> {
    const { status, seed } = await this.#ask(
      [
        ['request', 'seed'],
        ['size', size],
      ],
      SEED_REPLY,
    );
    return status === TLSMGR_STATUS.OK ? seed : undefined;
  }

  /** Whether sessions of this kind are remembered, and for how many seconds. */
  async policy(cache: SessionCache): Promise<{ isCachable: boolean; timeoutSeconds: number }> {
    const request = [
      ['request', 'policy'],
      ['cache_type', cache],
    ] as const;
    const { status, cachable, timeout } = await this.#ask(request, POLICY_REPLY);
    const isKnown = status === TLSMGR_STATUS.OK;
    return { isCachable: isKnown && cachable !== 0, timeoutSeconds: isKnown ? timeout : 0 };
  }

  async lookup(cache: SessionCache, id: string): Promise<Buffer | undefined> {
    const request = [
      ['request', 'lookup'],
      ['cache_type', cache],
      ['cache_id', id],
    ] as const;
    const { status, session } = await this.#ask(request, SESSION_REPLY);
    return status === TLSMGR_STATUS.OK ? session : undefined;
  }

  /** @returns whether it was taken */
  async update(cache: SessionCache, id: string, session: Buffer): Promise<boolean> {
    const { status } = await this.#ask(
      [
        ['request', 'update'],
        ['cache_type', cache],
        ['cache_id', id],
        ['session', session],
      ],
      STATUS_REPLY,
    );
    return status === TLSMGR_STATUS.OK;
  }

  async delete(cache: SessionCache, id: string): Promise<boolean> {
    const request = [
      ['request', 'delete'],
      ['cache_type', cache],
      ['cache_id', id],
    ] as const;
    return (await this.#ask(request, STATUS_REPLY)).status === TLSMGR_STATUS.OK;
  }

  /**
   * The key to seal tickets with, or the one of a name.
   *
   * @returns `undefined` when it is not known any more, or when there are to be no tickets
   */
  async ticketKey(name: Buffer = Buffer.alloc(0)): Promise<TicketKey | undefined> {
    const { status, key } = await this.#ask(
      [
        ['request', 'tktkey'],
        ['keyname', name],
      ],
      KEY_REPLY,
    );
    return status === TLSMGR_STATUS.OK ? parseTicketKey(key) : undefined;
  }

  close(): void {
    this.#pool.close();
  }

  #ask<S extends Shape>(
    request: readonly (readonly [string, string | number | Buffer])[],
    shape: S,
  ): Promise<Values<S>> {
    return exchange(this.#pool, formatAttributes(request), shape, {
      extra: true,
      persistent: true,
    });
  }
}
