import { Gate } from '../async/gate.ts';
import { type Attribute, formatAttributes } from '../ipc/attributes.ts';
import { PATIENT } from '../ipc/connect-patiently.ts';
import type { ConnectionPool } from '../ipc/connection-pool.ts';
import { exchange } from '../ipc/exchange.ts';
import { int, type Shape, str, type Values } from '../ipc/fields.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';
import { AnswerCache } from './answer-cache.ts';
import type { ClientOptions } from './options.ts';
import { retrying } from './retry.ts';
import { openServicePool } from './service-pool.ts';

/** Where mail for an address goes. */
export interface Resolution {
  readonly transport: string;
  readonly nexthop: string;
  readonly recipient: string;
  /** RESOLVE. */
  readonly flags: number;
}

/** What trivial-rewrite found out about an address. ipc.md 3.4. */
export const RESOLVE = {
  /** A local part without a domain. */
  FINAL: 1,
  /** Has routing operators. */
  ROUTED: 2,
  /** Bad syntax: transport and nexthop mean nothing. */
  ERROR: 4,
  /** A table could not be read: try again later. */
  FAIL: 8,
  /** The class of its domain. */
  LOCAL: 256,
  ALIAS: 512,
  VIRTUAL: 1024,
  RELAY: 2048,
  DEFAULT: 4096,
} as const;

export interface RewriteOptions extends ClientOptions {
  /** `private/rewrite` unless given. */
  readonly socketPath?: string;
}

const REWRITE_REPLY = { serverFlags: int.named('flags'), address: str };
const RESOLVE_REPLY = {
  serverFlags: int.named('flags'),
  transport: str,
  nexthop: str,
  recipient: str,
  flags: int,
};

const CACHE_MS = 30_000;
const CACHE_ENTRIES = 5000;
/** Requests at once, each with a connection. */
const CONNECTIONS_MAX = 8;

/** Asks trivial-rewrite(8), and remembers answers for 30 s. */
export class RewriteClient {
  readonly #pool: ConnectionPool;
  readonly #options: ClientOptions;
  readonly #gate = new Gate(CONNECTIONS_MAX);
  readonly #addresses = new AnswerCache<string>(CACHE_MS, CACHE_ENTRIES);
  readonly #resolutions = new AnswerCache<Resolution>(CACHE_MS, CACHE_ENTRIES);

  constructor(options: RewriteOptions = {}) {
    const path = options.socketPath ?? 'private/rewrite';
    this.#options = options;
    this.#pool = openServicePool(path, PROTOCOLS.rewrite, options.patience ?? PATIENT, options);
  }

  /**
   * Rewrites an address in its quoted form to standard form, as main.cf says for mail from here
   * (`local`) or from outside (`remote`).
   *
   * @throws {IpcError} when the service can't be had: try later
   */
  rewrite(rule: 'local' | 'remote', address: string): Promise<string> {
    return this.#addresses.get(`${rule}\0${address}`, async () => {
      const request: Attribute[] = [
        ['request', 'rewrite'],
        ['rule', rule],
        ['address', address],
      ];
      return (await this.#ask(request, REWRITE_REPLY)).address;
    });
  }

  /** Resolves an address in its unquoted form. @throws {IpcError} try later */
  resolve(sender: string, address: string): Promise<Resolution> {
    return this.#resolve('resolve', sender, address);
  }

  /** The same by the `address_verify_*` parameters. @throws {IpcError} try later */
  resolveForVerify(sender: string, address: string): Promise<Resolution> {
    return this.#resolve('verify', sender, address);
  }

  close(): void {
    this.#pool.close();
  }

  #resolve(request: string, sender: string, address: string): Promise<Resolution> {
    return this.#resolutions.get(`${request}\0${sender}\0${address}`, async () => {
      const attributes: Attribute[] = [
        ['request', request],
        ['sender', sender],
        ['address', address],
      ];
      const { transport, nexthop, recipient, flags } = await this.#ask(attributes, RESOLVE_REPLY);
      return { transport, nexthop, recipient, flags };
    });
  }

  async #ask<S extends Shape & { serverFlags: typeof int }>(
    attributes: readonly Attribute[],
    shape: S,
  ): Promise<Values<S>> {
    const request = formatAttributes(attributes);
    await this.#gate.enter();
    try {
      const reply = await retrying(this.#options, () =>
        exchange(this.#pool, request, shape, { persistent: true }),
      );
      // Its tables have changed and it is about to leave; the next one has the new ones.
      if ((reply as { serverFlags: number }).serverFlags !== 0) this.#pool.close();
      return reply;
    } finally {
      this.#gate.leave();
    }
  }
}
