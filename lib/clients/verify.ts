import { formatAttributes } from '../ipc/attributes.ts';
import { PATIENT } from '../ipc/connect-patiently.ts';
import type { ConnectionPool } from '../ipc/connection-pool.ts';
import { exchange } from '../ipc/exchange.ts';
import { int, str } from '../ipc/fields.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';
import type { ClientOptions } from './options.ts';
import { openServicePool } from './service-pool.ts';

/** What is known of a recipient. ipc.md 3.11. */
export const RECIPIENT_STATUS = { OK: 0, DEFER: 1, BOUNCE: 2, PENDING: 3 } as const;

/** What verify knows of an address. */
export interface VerifyAnswer {
  /** 0, or the service failed. */
  readonly status: number;
  /** RECIPIENT_STATUS. */
  readonly recipientStatus: number;
  readonly reason: string;
}

export interface VerifyOptions extends ClientOptions {
  /** `private/verify` unless given. */
  readonly socketPath?: string;
}

const QUERY_REPLY = { status: int, recipientStatus: int.named('recipient_status'), reason: str };
const UPDATE_REPLY = { status: int };

/** Asks and tells verify(8) about recipients. */
export class VerifyClient {
  readonly #pool: ConnectionPool;

  constructor(options: VerifyOptions = {}) {
    const path = options.socketPath ?? 'private/verify';
    this.#pool = openServicePool(path, PROTOCOLS.verify, options.patience ?? PATIENT, options);
  }

  /** Asks for what is known; verify may send a probe. @throws {IpcError} try later */
  query(address: string): Promise<VerifyAnswer> {
    const request = formatAttributes([
      ['request', 'query'],
      ['address', address],
    ]);
    return exchange(this.#pool, request, QUERY_REPLY, { extra: true, persistent: true });
  }

  /**
   * Reports the outcome of a probe.
   *
   * @returns whether it was taken
   * @throws {IpcError} when the service can't be had
   */
  async update(address: string, recipientStatus: number, reason: string): Promise<boolean> {
    const request = formatAttributes([
      ['request', 'update'],
      ['address', address],
      ['recipient_status', recipientStatus],
      ['reason', reason],
    ]);
    const options = { extra: true, persistent: true };
    return (await exchange(this.#pool, request, UPDATE_REPLY, options)).status === 0;
  }

  close(): void {
    this.#pool.close();
  }
}
