import type { WallTime } from '../clock/clock.ts';
import { attributesText } from '../ipc/attributes.ts';
import type { IpcConnection } from '../ipc/connection.ts';
import { IpcError } from '../ipc/error.ts';
import { data, int, long, str } from '../ipc/fields.ts';
import {
  type DeliveryTimes,
  formatDeliveryTimes,
  isSet,
  parseDeliveryTimes,
} from './delivery-times.ts';
import type { Recipient } from './recipient.ts';
import { RECIPIENT_FIELDS, recipientAttributes } from './recipient-group.ts';

/** What qmgr asks of a delivery agent: one message, some of its recipients. ipc.md 3.3. */
export interface DeliveryRequest {
  /** DELIVERY_FLAG. */
  readonly flags: number;
  /** The directory of the queue file: `active`. */
  readonly queueName: string;
  readonly queueId: string;
  /** Where the content starts in the file, and its size in bytes. */
  readonly contentOffset: number;
  readonly contentSize: number;
  readonly nexthop: string;
  /** `7bit`, `8bit` or ''. */
  readonly encoding: string;
  /** SMTPUTF8: 1 requested, 2 in the header, 4 in the sender, 8 in a recipient. */
  readonly sendOptions: number;
  /** '' is the null sender. */
  readonly sender: string;
  /** RFC 3461 ENVID and RET. */
  readonly envelopeId: string;
  readonly retFlags: number;
  readonly times: DeliveryTimes;
  readonly logClientName: string;
  readonly logClientAddress: string;
  readonly logClientPort: string;
  readonly logClientProtocol: string;
  readonly logClientHelo: string;
  readonly saslMethod: string;
  readonly saslUsername: string;
  readonly saslSender: string;
  /** The queue id under which the first MTA logged it. */
  readonly logIdent: string;
  /** `local` or `remote`. */
  readonly rewriteContext: string;
  readonly recipients: readonly Recipient[];
}

export const DELIVERY_FLAG = {
  /** Mark delivered recipients done in the queue file. */
  SUCCESS: 1,
  /** Always set, never looked at. */
  BOUNCE: 2,
  /** Of the verify service: deliver nothing, tell it. */
  MTA_VRFY: 256,
  /** `sendmail -bv`: deliver nothing, send a report. */
  USR_VRFY: 512,
  /** `sendmail -v`: deliver, and send a report. */
  RECORD: 1024,
  /** Try a cached connection; keep it afterwards. */
  CONN_LOAD: 2048,
  CONN_STORE: 4096,
  /** The sender was told of a delay: report the delivery. */
  REC_DLY_SENT: 8192,
} as const;

/** The flags that travel on to the bounce, verify and trace services. */
export const TRACE_FLAGS =
  DELIVERY_FLAG.MTA_VRFY |
  DELIVERY_FLAG.USR_VRFY |
  DELIVERY_FLAG.RECORD |
  DELIVERY_FLAG.REC_DLY_SENT;

/** More than any qmgr hands out in one request (`default_destination_recipient_limit` is 50). */
const RECIPIENTS_MAX = 100_000;

const REQUEST = {
  flags: int,
  queueName: str.named('queue_name'),
  queueId: str.named('queue_id'),
  contentOffset: long.named('offset'),
  contentSize: long.named('size'),
  nexthop: str,
  encoding: str,
  // Postfix 3.10 renamed it.
  sendOptions: int.named('smtputf8', 'sendopts'),
  sender: str,
  envelopeId: str.named('envelope_id'),
  retFlags: int.named('ret_flags'),
  time: data,
  logClientName: str.named('log_client_name'),
  logClientAddress: str.named('log_client_address'),
  logClientPort: str.named('log_client_port'),
  logClientProtocol: str.named('log_protocol_name'),
  logClientHelo: str.named('log_helo_name'),
  saslMethod: str.named('sasl_method'),
  saslUsername: str.named('sasl_username'),
  saslSender: str.named('sasl_sender'),
  logIdent: str.named('log_ident'),
  rewriteContext: str.named('rewrite_context'),
  recipientCount: int.named('recipient_count'),
};

/**
 * Receives a delivery request.
 *
 * @param handoff tells the time when the request has arrived, for a qmgr that did not
 * @returns `undefined` when qmgr closed instead: it had nothing left to deliver
 * @throws {IpcError} when it is malformed
 */
export async function receiveRequest(
  connection: IpcConnection,
  handoff?: () => WallTime,
): Promise<DeliveryRequest | undefined> {
  const head = await connection.receive(REQUEST);
  if (head === undefined) return undefined;
  const { recipientCount } = head;
  const times = parseDeliveryTimes(head.time);
  if (times === undefined) throw new IpcError(`malformed time from ${connection.peer}`);
  if (recipientCount < 0 || recipientCount > RECIPIENTS_MAX) {
    throw new IpcError(`bad recipient count ${recipientCount} from ${connection.peer}`);
  }
  const recipients: Recipient[] = [];
  while (recipients.length < recipientCount) {
    const recipient = await connection.receive(RECIPIENT_FIELDS);
    if (recipient === undefined || recipient.offset === 0) {
      throw new IpcError(`malformed recipient from ${connection.peer}`);
    }
    recipients.push(recipient);
  }
  // Spelled out: a spread of so many would cost more than receiving them.
  return {
    flags: head.flags,
    queueName: head.queueName,
    queueId: head.queueId,
    contentOffset: head.contentOffset,
    contentSize: head.contentSize,
    nexthop: head.nexthop,
    encoding: head.encoding,
    sendOptions: head.sendOptions,
    sender: head.sender,
    envelopeId: head.envelopeId,
    retFlags: head.retFlags,
    times: handoff === undefined || isSet(times.handoff) ? times : { ...times, handoff: handoff() },
    logClientName: head.logClientName,
    logClientAddress: head.logClientAddress,
    logClientPort: head.logClientPort,
    logClientProtocol: head.logClientProtocol,
    logClientHelo: head.logClientHelo,
    saslMethod: head.saslMethod,
    saslUsername: head.saslUsername,
    saslSender: head.saslSender,
    logIdent: head.logIdent,
    rewriteContext: head.rewriteContext,
    recipients,
  };
}

/** Formats a request, to be sent with one write. */
export function formatRequest(request: DeliveryRequest): Buffer {
  let text = attributesText([
    ['flags', request.flags],
    ['queue_name', request.queueName],
    ['queue_id', request.queueId],
    ['offset', request.contentOffset],
    ['size', request.contentSize],
    ['nexthop', request.nexthop],
    ['encoding', request.encoding],
    ['smtputf8', request.sendOptions],
    ['sender', request.sender],
    ['envelope_id', request.envelopeId],
    ['ret_flags', request.retFlags],
    ['time', formatDeliveryTimes(request.times)],
    ['log_client_name', request.logClientName],
    ['log_client_address', request.logClientAddress],
    ['log_client_port', request.logClientPort],
    ['log_protocol_name', request.logClientProtocol],
    ['log_helo_name', request.logClientHelo],
    ['sasl_method', request.saslMethod],
    ['sasl_username', request.saslUsername],
    ['sasl_sender', request.saslSender],
    ['log_ident', request.logIdent],
    ['rewrite_context', request.rewriteContext],
    ['recipient_count', request.recipients.length],
  ]);
  for (const recipient of request.recipients)
    text += attributesText(recipientAttributes(recipient));
  return Buffer.from(text);
}
