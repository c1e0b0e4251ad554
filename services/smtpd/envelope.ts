/**
 * What smtpd tells cleanup of a message before its content, as records in Postfix's order
 * (ipc.md 3.1). Pure.
 */
import { RECORD, RecordWriter } from '../../lib/queue/record.ts';
import { available, tagged } from './client-name.ts';
import { writeFlags, writeOrders } from './message-orders.ts';
import {
  type Client,
  type Forwarded,
  type MessageOrders,
  originLabel,
  type Transaction,
} from './transaction.ts';

/** Everything that a message's envelope records depend on. */
export interface EnvelopeFacts {
  readonly queueId: string;
  readonly client: Client;
  readonly transaction: Transaction;
  readonly helo: string | undefined;
  readonly protocol: string;
  readonly forwarded: Forwarded | undefined;
  readonly portLogging: boolean;
  readonly contentFilter: string;
  readonly default_verp_delimiters: string;
}

/** One recipient's DSN wishes. RFC 3461. */
export interface RecipientWishes {
  readonly notify: number;
  /** `rfc822;bob@example.com`. */
  readonly originalRecipient: string;
}

/** Address families as Linux numbers them. */
const FAMILY = { v4: 2, v6: 10 } as const;

/** The records that come before the first recipient. */
export function formatEnvelope(facts: EnvelopeFacts): Buffer {
  const { queueId, client, transaction, helo, protocol, forwarded } = facts;
  const writer = new RecordWriter(1024);
  const attribute = (name: string, value: string | number) =>
    writer.record(RECORD.attribute, `${name}=${value}`);
  const optional = (name: string, value: string | undefined) => {
    if (value) attribute(name, value);
  };
  writer.record(RECORD.time, formatTime(transaction.arrival));
  if (facts.contentFilter !== '') writer.record(RECORD.filter, facts.contentFilter);
  attribute('log_ident', forwarded?.ident ?? queueId);
  const context = client.isLocalRewrite ? 'local' : 'remote';
  attribute('rewrite_context', forwarded?.rewriteContext ?? context);
  if (client.login !== undefined) {
    attribute('sasl_method', client.login.method);
    attribute('sasl_username', client.login.username);
  }
  optional('sasl_sender', transaction.saslSender);
  optional('envelope_id', transaction.envelopeId);
  if (transaction.retFlags !== 0) attribute('ret_flags', transaction.retFlags);
  writer.record(RECORD.sender, transaction.sender.address);
  optional('encoding', transaction.encoding);
  const origin = forwarded?.client;
  const logged = origin ?? client;
  attribute('log_client_name', logged.name);
  attribute('log_client_address', tagged(logged.address));
  attribute('log_client_port', logged.port);
  attribute('log_message_origin', origin ? originLabel(origin, facts.portLogging) : client.label);
  optional('log_helo_name', origin ? available(origin.helo) : helo);
  attribute('log_protocol_name', origin?.protocol ?? protocol);
  attribute('client_name', client.name);
  attribute('reverse_client_name', client.reverseName);
  attribute('client_address', client.address);
  attribute('client_port', client.port);
  attribute('server_address', client.serverAddress);
  attribute('server_port', client.serverPort);
  optional('helo_name', helo);
  attribute('protocol_name', protocol);
  attribute('client_address_type', client.address.includes(':') ? FAMILY.v6 : FAMILY.v4);
  if (transaction.verp !== undefined) {
    writer.record(RECORD.verp, transaction.verp || facts.default_verp_delimiters);
  }
  return writer.take();
}

/** The records of one recipient. */
export function formatRecipient(recipient: string, wishes: RecipientWishes): Buffer {
  const writer = new RecordWriter(256);
  if (wishes.notify !== 0) writer.record(RECORD.attribute, `notify_flags=${wishes.notify}`);
  writer.record(RECORD.attribute, `dsn_orig_rcpt=${wishes.originalRecipient}`);
  writer.record(RECORD.recipient, recipient);
  return writer.take();
}

/** The end of the envelope and the headers of ours that come first. */
export function formatContentStart(orders: MessageOrders, headers: readonly string[]): Buffer {
  const writer = new RecordWriter(512);
  writeFlags(writer, orders);
  writer.record(RECORD.message);
  for (const line of orders.prepend) writer.record(RECORD.text, line);
  for (const line of headers) writer.record(RECORD.text, line);
  return writer.take();
}

/** The end of the content, and of the message. */
export function formatContentEnd(orders: MessageOrders): Buffer {
  const writer = new RecordWriter(64);
  writer.record(RECORD.extracted);
  writeOrders(writer, orders);
  writer.record(RECORD.end);
  return writer.take();
}

/** Seconds and microseconds. */
function formatTime(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  return `${seconds} ${Math.floor((milliseconds - seconds * 1000) * 1000)}`;
}
