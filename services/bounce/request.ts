/** What clients ask of bounce, defer and trace: ipc.md 3.5. */
import { BOUNCE_REQUEST } from '../../lib/clients/bounce.ts';
import { DETAIL_FIELDS } from '../../lib/delivery/detail-group.ts';
import { RECIPIENT_FIELDS } from '../../lib/delivery/recipient-group.ts';
import type { DsnDetail } from '../../lib/dsn/detail.ts';
import type { IpcConnection } from '../../lib/ipc/connection.ts';
import { int, str } from '../../lib/ipc/fields.ts';
import { asciiOnly, printableLine } from '../../lib/log/printable.ts';
import type { QueuedRecipient } from '../../lib/queue/envelope.ts';
import { parseQueueId, type QueueId } from '../../lib/queue/queue-id.ts';

/** Bits of `sendopts`: SMTPUTF8 was requested; it is needed by the header, the sender, a recipient. */
const UTF8_REQUESTED = 1;
const UTF8_ANY = 15;

/** Which message, and how its sender wants to be told. */
export interface NoticeRequest {
  readonly flags: number;
  readonly queueName: string;
  readonly queueId: QueueId;
  readonly encoding: string;
  readonly utf8: boolean;
  /** Addresses may be UTF-8, although nobody asked for SMTPUTF8. */
  readonly utf8Addresses: boolean;
  readonly sender: string;
  readonly envelopeId: string;
  readonly returnFlags: number;
}

/** One recipient, and what became of it. */
export interface Entry {
  readonly recipient: QueuedRecipient;
  readonly detail: DsnDetail;
}

/** A request that was understood. */
export type BounceRequest =
  | {
      readonly kind: 'append';
      readonly flags: number;
      readonly queueId: QueueId;
      readonly entry: Entry;
    }
  | { readonly kind: 'flush' | 'warn' | 'trace'; readonly notice: NoticeRequest }
  | { readonly kind: 'verp'; readonly notice: NoticeRequest; readonly delimiters: string }
  | { readonly kind: 'one'; readonly notice: NoticeRequest; readonly entry: Entry };

/** A request that makes no sense; the client is told that it failed. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
}

/** Makes a text from outside fit for a notice. */
type Clean = (text: string) => string;

const NUMBER = { number: int.named('nrequest') };
const APPEND = {
  flags: int,
  queueId: str.named('queue_id'),
  ...RECIPIENT_FIELDS,
  ...DETAIL_FIELDS,
};
const NOTICE = {
  flags: int,
  queueName: str.named('queue_name'),
  queueId: str.named('queue_id'),
  encoding: str,
  sendOptions: int.named('smtputf8', 'sendopts'),
  sender: str,
  envelopeId: str.named('envelope_id'),
  returnFlags: int.named('ret_flags'),
};
const VERP = { ...NOTICE, delimiters: str.named('verp_delimiters') };
const ONE = { ...NOTICE, ...RECIPIENT_FIELDS, ...DETAIL_FIELDS };

const NOTICE_KINDS = {
  [BOUNCE_REQUEST.flush]: 'flush',
  [BOUNCE_REQUEST.warn]: 'warn',
  [BOUNCE_REQUEST.trace]: 'trace',
} as const;

const SKIP_UNKNOWN = { extra: true } as const;

/**
 * Receives one request; `undefined` when the client has no more.
 *
 * @param utf8 smtputf8_enable: texts may hold it
 * @throws {RequestError} when it names no message of ours, or is of no kind we know
 * @throws {IpcError} when it is malformed, or does not come in time
 */
export async function receiveRequest(
  client: IpcConnection,
  utf8: boolean,
): Promise<BounceRequest | undefined> {
  const clean = utf8 ? printableText : (text: string) => asciiOnly(printableText(text));
  const head = await client.receive(NUMBER, { more: true });
  if (head === undefined) return undefined;
  switch (head.number) {
    case BOUNCE_REQUEST.append: {
      const request = whole(await client.receive(APPEND, SKIP_UNKNOWN));
      const { flags } = request;
      return { kind: 'append', flags, queueId: queueIdOf(request), entry: entryOf(request, clean) };
    }
    case BOUNCE_REQUEST.flush:
    case BOUNCE_REQUEST.warn:
    case BOUNCE_REQUEST.trace: {
      const kind = NOTICE_KINDS[head.number];
      return { kind, notice: noticeOf(whole(await client.receive(NOTICE, SKIP_UNKNOWN)), clean) };
    }
    case BOUNCE_REQUEST.verp: {
      const request = whole(await client.receive(VERP, SKIP_UNKNOWN));
      if (request.delimiters.length !== 2) {
        throw new RequestError(
          `malformed verp delimiter string: ${printableText(request.delimiters)}`,
        );
      }
      return { kind: 'verp', notice: noticeOf(request, clean), delimiters: request.delimiters };
    }
    case BOUNCE_REQUEST.one: {
      const request = whole(await client.receive(ONE, SKIP_UNKNOWN));
      return { kind: 'one', notice: noticeOf(request, clean), entry: entryOf(request, clean) };
    }
    default:
      throw new RequestError(`unknown command: ${head.number}`);
  }
}

function whole<T>(values: T | undefined): T {
  if (values === undefined) throw new RequestError('malformed request');
  return values;
}

function queueIdOf({ queueId }: { readonly queueId: string }): QueueId {
  const id = parseQueueId(queueId);
  if (id === undefined) throw new RequestError(`malformed queue id: ${printableText(queueId)}`);
  return id;
}

function noticeOf(
  request: {
    readonly flags: number;
    readonly queueName: string;
    readonly queueId: string;
    readonly encoding: string;
    readonly sendOptions: number;
    readonly sender: string;
    readonly envelopeId: string;
    readonly returnFlags: number;
  },
  clean: Clean,
): NoticeRequest {
  return {
    flags: request.flags,
    queueName: request.queueName,
    queueId: queueIdOf(request),
    encoding: request.encoding,
    utf8: (request.sendOptions & UTF8_REQUESTED) !== 0,
    utf8Addresses: (request.sendOptions & UTF8_ANY) !== 0,
    sender: clean(request.sender),
    envelopeId: clean(request.envelopeId),
    returnFlags: request.returnFlags,
  };
}

/** These texts become lines of a notice: a line end in one would forge others. */
function entryOf(request: QueuedRecipient & DsnDetail, clean: Clean): Entry {
  return cleanEntry({ recipient: request, detail: request }, clean);
}

/** The same entry with all its texts made fit. */
export function cleanEntry({ recipient, detail }: Entry, clean: Clean): Entry {
  return {
    recipient: {
      original: clean(recipient.original),
      address: clean(recipient.address),
      offset: recipient.offset,
      dsnOriginal: clean(recipient.dsnOriginal),
      notify: recipient.notify,
    },
    detail: {
      status: clean(detail.status),
      diagType: clean(detail.diagType),
      diagText: clean(detail.diagText),
      mtaType: clean(detail.mtaType),
      mtaName: clean(detail.mtaName),
      action: clean(detail.action),
      reason: clean(detail.reason),
    },
  };
}

const TEXT_BYTES_MAX = 8192;

function printableText(text: string): string {
  return printableLine(text, TEXT_BYTES_MAX);
}
