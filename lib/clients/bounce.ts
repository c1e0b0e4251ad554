import { detailAttributes } from '../delivery/detail-group.ts';
import type { Recipient } from '../delivery/recipient.ts';
import { recipientAttributes } from '../delivery/recipient-group.ts';
import type { DsnDetail } from '../dsn/detail.ts';
import { type Attribute, formatAttributes } from '../ipc/attributes.ts';
import { IMPATIENT } from '../ipc/connect-patiently.ts';
import type { ConnectionPool } from '../ipc/connection-pool.ts';
import { exchange } from '../ipc/exchange.ts';
import { int } from '../ipc/fields.ts';
import { PROTOCOLS } from '../ipc/protocols.ts';
import type { ClientOptions } from './options.ts';
import { openServicePool } from './service-pool.ts';

/** The three services of bounce(8); each has its own logs. */
export type BounceService = 'bounce' | 'defer' | 'trace';

/** `nrequest` of the protocol. ipc.md 3.5. */
export const BOUNCE_REQUEST = {
  append: 0,
  flush: 1,
  warn: 2,
  verp: 3,
  one: 4,
  trace: 5,
} as const;

export const BOUNCE_FLAG = {
  NONE: 0,
  /** Remove the log when the request fails. */
  CLEAN: 1,
  /** Mark the recipients done once the notice is queued. */
  DELRCPT: 2,
} as const;

/** The message that a notice is about. */
export interface NoticeSubject {
  readonly flags: number;
  readonly queueName: string;
  readonly queueId: string;
  readonly encoding: string;
  readonly sendOptions: number;
  readonly sender: string;
  readonly envelopeId: string;
  readonly retFlags: number;
}

export interface BounceOptions extends ClientOptions {
  /** Names of the services in private/, where main.cf has others. */
  readonly names?: Partial<Record<BounceService, string>>;
}

const REPLY = { status: int };

/**
 * Asks bounce(8). Every request answers whether it was done; false, and a warning in the log, mean
 * that it has to be tried again later.
 */
export class BounceClient {
  readonly #pools: Record<BounceService, ConnectionPool>;
  readonly #options: BounceOptions;

  constructor(options: BounceOptions = {}) {
    this.#options = options;
    const pool = (service: BounceService) => {
      const path = `private/${options.names?.[service] ?? service}`;
      return openServicePool(path, PROTOCOLS.bounce, options.patience ?? IMPATIENT, options);
    };
    this.#pools = { bounce: pool('bounce'), defer: pool('defer'), trace: pool('trace') };
  }

  /** Adds a recipient to a message's log. */
  append(
    service: BounceService,
    queueId: string,
    flags: number,
    recipient: Recipient,
    detail: DsnDetail,
  ): Promise<boolean> {
    return this.#ask(service, queueId, [
      ['nrequest', BOUNCE_REQUEST.append],
      ['flags', flags],
      ['queue_id', queueId],
      ...recipientAttributes(recipient),
      ...detailAttributes(detail),
    ]);
  }

  /** Sends the notice that a log calls for, and removes the log. */
  flush(service: BounceService, subject: NoticeSubject): Promise<boolean> {
    return this.#notice(service, BOUNCE_REQUEST.flush, subject, []);
  }

  /** Tells the sender of a delay; the log stays. */
  warn(service: BounceService, subject: NoticeSubject): Promise<boolean> {
    return this.#notice(service, BOUNCE_REQUEST.warn, subject, []);
  }

  /** One notice per recipient, to an address that names it. @param delimiters such as `+=` */
  verp(service: BounceService, subject: NoticeSubject, delimiters: string): Promise<boolean> {
    const more: Attribute[] = [['verp_delimiters', delimiters]];
    return this.#notice(service, BOUNCE_REQUEST.verp, subject, more);
  }

  /** A notice about one recipient at once, without a log. */
  one(
    service: BounceService,
    subject: NoticeSubject,
    recipient: Recipient,
    detail: DsnDetail,
  ): Promise<boolean> {
    const more = [...recipientAttributes(recipient), ...detailAttributes(detail)];
    return this.#notice(service, BOUNCE_REQUEST.one, subject, more);
  }

  /** Sends the report that a trace log calls for, and removes the log. */
  trace(service: BounceService, subject: NoticeSubject): Promise<boolean> {
    return this.#notice(service, BOUNCE_REQUEST.trace, subject, []);
  }

  close(): void {
    for (const pool of Object.values(this.#pools)) pool.close();
  }

  #notice(
    service: BounceService,
    request: number,
    subject: NoticeSubject,
    more: readonly Attribute[],
  ): Promise<boolean> {
    return this.#ask(service, subject.queueId, [
      ['nrequest', request],
      ['flags', subject.flags],
      ['queue_name', subject.queueName],
      ['queue_id', subject.queueId],
      ['encoding', subject.encoding],
      ['smtputf8', subject.sendOptions],
      ['sender', subject.sender],
      ['envelope_id', subject.envelopeId],
      ['ret_flags', subject.retFlags],
      ...more,
    ]);
  }

  async #ask(
    service: BounceService,
    queueId: string,
    attributes: readonly Attribute[],
  ): Promise<boolean> {
    const request = formatAttributes(attributes);
    try {
      const { status } = await exchange(this.#pools[service], request, REPLY, { extra: true });
      return status === 0;
    } catch (error) {
      this.#options.log?.warn({ kind: 'text', queueId, text: (error as Error).message });
      return false;
    }
  }
}
