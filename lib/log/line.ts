/**
 * The text view of an event: what follows `postfix/smtpd[604]: ` in the log. Log analysers, fail2ban
 * and administrators read these lines, so every blank and comma is a promise. Pure.
 */
import { type AddressText, externalForm } from './address-text.ts';
import { formatDelay } from './delay-text.ts';
import type {
  ClientEvent,
  ContentEvent,
  DeliveryEvent,
  DisconnectEvent,
  LogEvent,
  RejectEvent,
  SessionLostEvent,
} from './event.ts';

export { printable } from './printable.ts';

/** What an administrator may choose about the text of events. */
export interface LineStyle {
  /** delay_logging_resolution_limit */
  readonly delayDecimals: number;
  /** info_log_address_format */
  readonly addressText: AddressText;
}

const DEFAULT_STYLE: LineStyle = { delayDecimals: 2, addressText: externalForm };

/** The text of an event, not yet made printable. */
export function formatEvent(event: LogEvent, style: LineStyle = DEFAULT_STYLE): string {
  const { addressText } = style;
  switch (event.kind) {
    case 'text':
      return event.queueId === undefined ? event.text : `${event.queueId}: ${event.text}`;
    case 'connect':
      return `connect from ${event.client}`;
    case 'disconnect':
      return disconnectLine(event);
    case 'session-lost':
      return sessionLostLine(event);
    case 'client':
      return clientLine(event);
    case 'reject':
      return rejectLine(event, addressText);
    case 'auth-failure':
      return (
        `${event.client}: SASL ${event.mechanism.slice(0, 100)} authentication failed: ` +
        `${event.reason}, sasl_username=${event.username ?? '(unavailable)'}`
      );
    case 'tls':
      return `${event.trust} TLS connection established ${event.direction} ${event.peer}: ${event.summary}`;
    case 'content':
      return contentLine(event, addressText);
    case 'message-id': {
      const name = event.resent ? 'resent-message-id' : 'message-id';
      return `${event.queueId}: ${name}=${event.messageId === '' ? '<>' : event.messageId}`;
    }
    case 'pickup': {
      const was = event.originalQueueId === undefined ? '' : ` orig_id=${event.originalQueueId}`;
      return `${event.queueId}: uid=${event.uid} from=<${addressText(event.from)}>${was}`;
    }
    case 'queued':
      return (
        `${event.queueId}: from=<${addressText(event.from)}>, size=${event.sizeBytes}, ` +
        `nrcpt=${event.recipientCount} (queue active)`
      );
    case 'expired': {
      const status = event.forced ? 'force-expired' : 'expired';
      return `${event.queueId}: from=<${addressText(event.from)}>, status=${status}, returned to sender`;
    }
    case 'removed':
      return `${event.queueId}: removed`;
    case 'delivery':
      return deliveryLine(event, style);
    case 'notification':
      return `${event.queueId}: ${event.to} ${event.notice} notification: ${event.newQueueId}`;
    case 'super':
      return `${event.queueId}: ${event.action}`;
    case 'child-exit': {
      const end =
        event.signal === undefined
          ? `exit status ${event.exitStatus ?? 0}`
          : `killed by signal ${event.signal}`;
      return `process ${event.command} pid ${event.pid} ${end}`;
    }
  }
}

function deliveryLine(event: DeliveryEvent, style: LineStyle): string {
  const { delayDecimals: decimals, addressText } = style;
  const { to, origTo, connUse, delays } = event;
  const was =
    origTo !== undefined && differs(origTo, to) ? ` orig_to=<${addressText(origTo)}>,` : '';
  const reuse = connUse !== undefined && connUse > 1 ? ` conn_use=${connUse},` : '';
  return (
    `${event.queueId}: to=<${addressText(to)}>,${was} relay=${event.relay},${reuse}` +
    ` delay=${formatDelay(event.delay, decimals)}, delays=${formatDelay(delays[0], decimals)}` +
    `/${formatDelay(delays[1], decimals)}/${formatDelay(delays[2], decimals)}` +
    `/${formatDelay(delays[3], decimals)}, dsn=${event.dsn}, status=${event.status} (${event.text})`
  );
}

function differs(one: string, other: string): boolean {
  return one !== '' && one !== other && one.toLowerCase() !== other.toLowerCase();
}

function disconnectLine(event: DisconnectEvent): string {
  let line = `disconnect from ${event.client}`;
  let ok = 0;
  let total = 0;
  for (const count of event.counts) {
    if (count.total === 0) continue;
    ok += count.ok;
    total += count.total;
    line += ` ${count.command}=${share(count.ok, count.total)}`;
  }
  return `${line} commands=${total === 0 ? '0/0' : share(ok, total)}`;
}

function share(ok: number, total: number): string {
  return ok === total ? String(ok) : `${ok}/${total}`;
}

function sessionLostLine(event: SessionLostEvent): string {
  const received = event.receivedBytes === undefined ? '' : ` (${event.receivedBytes} bytes)`;
  return `${event.why} after ${event.stage}${received} from ${event.client}`;
}

function clientLine(event: ClientEvent): string {
  let line = `${event.queueId ?? 'NOQUEUE'}: client=${event.client}`;
  if (event.saslMethod !== undefined) line += `, sasl_method=${event.saslMethod}`;
  if (event.saslUsername !== undefined) line += `, sasl_username=${event.saslUsername}`;
  if (event.saslSender !== undefined) line += `, sasl_sender=${event.saslSender}`;
  if (event.originalQueueId !== undefined) line += `, orig_queue_id=${event.originalQueueId}`;
  if (event.originalClient !== undefined) line += `, orig_client=${event.originalClient}`;
  return line;
}

function rejectLine(event: RejectEvent, addressText: AddressText): string {
  const { queueId = 'NOQUEUE', action, stage, client, text } = event;
  return `${queueId}: ${action}: ${stage} from ${client}: ${text};${envelopeText(event, addressText)}`;
}

function contentLine(event: ContentEvent, addressText: AddressText): string {
  const where = event.line === undefined ? event.part : `${event.part} ${event.line}`;
  const start = `${event.queueId}: ${event.action}: ${where} from ${event.client}`;
  const rest = event.text === undefined ? '' : `: ${event.text}`;
  const envelope = envelopeText(event, addressText);
  // A milter's verdict reads like smtpd's: text first. A check's own words come last.
  if (event.line === undefined) return `${start}${rest};${envelope}`;
  return `${start};${envelope}${rest}`;
}

/** ` from=<> to=<> proto=ESMTP helo=<x>`: what was known of the transaction. */
function envelopeText(event: RejectEvent | ContentEvent, addressText: AddressText): string {
  let text = '';
  if (event.from !== undefined) text += ` from=<${addressText(event.from)}>`;
  if (event.to !== undefined) text += ` to=<${addressText(event.to)}>`;
  if (event.protocol !== undefined) text += ` proto=${event.protocol}`;
  if (event.helo !== undefined) text += ` helo=<${event.helo}>`;
  return text;
}
