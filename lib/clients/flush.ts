import { OLD_DEFAULT } from '../config/compatibility.ts';
import { type Attribute, formatAttributes } from '../ipc/attributes.ts';
import { IMPATIENT } from '../ipc/connect-patiently.ts';
import type { ConnectionPool } from '../ipc/connection-pool.ts';
import { IpcError } from '../ipc/error.ts';
import { exchange } from '../ipc/exchange.ts';
import { int } from '../ipc/fields.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';
import type { ClientOptions } from './options.ts';
import { openServicePool } from './service-pool.ts';

/** What flush answers. ipc.md 3.8. */
export const FLUSH_STATUS = { OK: 0, FAIL: -1, BAD: 3, DENY: 4 } as const;

export interface FlushOptions extends ClientOptions {
  /** `public/flush` unless given. */
  readonly socketPath?: string;
  /** fast_flush_domains has an old default, and that is to be said when a site has a log by it. */
  readonly oldDefault?: boolean;
}

const REPLY = { status: int };

/** Asks flush(8). A service that can't be had counts as FLUSH_STATUS.FAIL, with a warning. */
export class FlushClient {
  readonly #pool: ConnectionPool;
  readonly #options: FlushOptions;

  constructor(options: FlushOptions = {}) {
    const path = options.socketPath ?? 'public/flush';
    this.#options = options;
    this.#pool = openServicePool(path, PROTOCOLS.flush, options.patience ?? IMPATIENT, options);
  }

  /** Notes that a message waits for a site. */
  async add(site: string, queueId: string): Promise<number> {
    const status = await this.#ask('add', [
      ['site', site],
      ['queue_id', queueId],
    ]);
    return this.#noted(status, `update fast-flush logfile for domain "${site}"`);
  }

  /** Tries all mail that is noted for a site. */
  async sendSite(site: string): Promise<number> {
    const status = await this.#ask('send_site', [['site', site]]);
    return this.#noted(status, `flush mail for domain "${site}"`);
  }

  /** Tries one message. */
  sendFile(queueId: string): Promise<number> {
    return this.#ask('send_file', [['queue_id', queueId]]);
  }

  /** Tries what nobody has asked for in a long time. */
  refresh(): Promise<number> {
    return this.#ask('rfrsh', []);
  }

  /** Tries everything that is noted. */
  purge(): Promise<number> {
    return this.#ask('purge', []);
  }

  close(): void {
    this.#pool.close();
  }

  #noted(status: number, what: string): number {
    if (this.#options.oldDefault === true && status !== FLUSH_STATUS.DENY) {
      this.#options.log?.info(`${OLD_DEFAULT} relay_domains=$mydestination to ${what}`);
    }
    return status;
  }

  async #ask(name: string, attributes: readonly Attribute[]): Promise<number> {
    const request = formatAttributes([['request', name], ...attributes]);
    try {
      return (await exchange(this.#pool, request, REPLY)).status;
    } catch (error) {
      if (!(error instanceof IpcError)) throw error;
      this.#options.log?.warn(error.message);
      return FLUSH_STATUS.FAIL;
    }
  }
}
