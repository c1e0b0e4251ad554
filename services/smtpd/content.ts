/** From DATA or BDAT to the reply that says what became of the message. */

import { CLEANUP_STATUS, type CleanupMessage } from '../../lib/clients/cleanup.ts';
import { now } from '../../lib/clock/clock.ts';
import type { Answer, ContentSink } from './answer.ts';
import { isFiltered } from './before-queue.ts';
import { ContentReader, type ContentRules } from './content-reader.ts';
import { formatContentEnd, formatContentStart } from './envelope.ts';
import { formatReceived } from './received.ts';
import type { Session } from './session.ts';
import type { Transaction } from './transaction.ts';

/** Tells cleanup that content follows, with our Received header before it. */
export async function openContent(
  session: Session,
  transaction: Transaction,
  message: CleanupMessage,
  framing: ContentRules['framing'],
): Promise<ContentReader> {
  const { smtpd, client, helo } = session;
  const { parameters } = smtpd;
  // RFC 3848.
  const isAuthenticated = client.login !== undefined && session.protocol === 'ESMTP';
  const secured = session.isEncrypted && session.protocol === 'ESMTP' ? 'S' : '';
  const utf8 = transaction.smtputf8 ? 'UTF8' : '';
  const [only] = transaction.recipients;
  const isPassedOn = isFiltered(message) && session.forwarded !== undefined;
  const headers = formatReceived({
    clientName: client.name,
    clientAddress: client.address,
    helo,
    login: parameters.smtpd_sasl_authenticated_header ? client.login?.username : undefined,
    hostname: parameters.myhostname,
    mailName: parameters.mail_name,
    protocol: `${utf8 === '' ? session.protocol : 'UTF8SMTP'}${secured}${isAuthenticated ? 'A' : ''}`,
    ...(parameters.smtpd_tls_received_header ? { tls: session.tls } : {}),
    asksForCertificate: smtpd.tls?.demands.asksForCertificate,
    queueId: message.queueId,
    onlyRecipient: transaction.recipients.length === 1 ? only : undefined,
    time: now(),
  });
  await session.milters?.handOver(message);
  await message.write(formatContentStart(transaction.orders, isPassedOn ? [] : headers));
  return new ContentReader({
    newlines: client.newlines,
    lineBytesMax: parameters.line_length_limit,
    sizeMax: parameters.message_size_limit,
    framing,
  });
}

/** The content up to a lone dot. */
export async function openDotContent(
  session: Session,
  transaction: Transaction,
  message: CleanupMessage,
): Promise<ContentSink> {
  const reader = await openContent(session, transaction, message, 'dot');
  return {
    counted: 'data',
    reader,
    write: (records) => message.write(records),
    finish: () => finishContent(session, transaction, message, { reader }),
  };
}

interface Content {
  readonly reader: ContentReader;
  /** How much there was, if the reply tells: `123 bytes `. */
  extent?(): string;
}

/** The content has ended: what cleanup says decides the reply. The transaction is over. */
export async function finishContent(
  session: Session,
  transaction: Transaction,
  message: CleanupMessage,
  { reader, extent }: Content,
): Promise<Answer> {
  session.stage = 'END-OF-MESSAGE';
  const { smtpd } = session;
  try {
    const bad = refuseContent(session, reader);
    if (bad !== undefined && isFiltered(message)) message.refuse(transaction.recipients[0]);
    const refusal = bad ?? (await session.refusal('endOfData'));
    if (refusal !== undefined) return { reply: refusal };
    if (isFiltered(message)) return await message.conclude(transaction.recipients[0]);
    await message.write(formatContentEnd(transaction.orders));
    const { status, reason } = await message.finish();
    // From here on there is nothing to take back.
    transaction.message = undefined;
    if (status === 0) {
      const reply = `250 2.0.0 Ok: ${extent?.() ?? ''}queued as ${message.queueId}`;
      return { reply, forgives: true };
    }
    return { reply: replyFor(status, reason) };
  } catch (error) {
    smtpd.log.warn(`${message.queueId}: cleanup: ${describeFailure(error)}`);
    return { reply: '451 4.3.0 Error: queue file write error' };
  } finally {
    session.reset();
  }
}

/** What the content itself makes us refuse; logged. */
export function refuseContent(session: Session, reader: ContentReader): string | undefined {
  const { smtpd, transaction } = session;
  const { myhostname, smtpd_forbid_bare_newline_reject_code: code } = smtpd.parameters;
  if (reader.hasBareLineFeed) {
    session.logRule('reject', 'bare <LF> received', session.onlyRecipient);
    return `${code} 5.5.2 ${myhostname} Error: bare <LF> received`;
  }
  if (reader.isTooBig) {
    const queueId = transaction?.message?.queueId || 'NOQUEUE';
    smtpd.log.warn({ kind: 'text', queueId, text: 'queue file size limit exceeded' });
    return '552 5.3.4 Error: message file too big';
  }
  return undefined;
}

/** The replies that Postfix gives for cleanup's troubles, the gravest first. ipc.md 3.1. */
const TROUBLES: readonly (readonly [bit: number, code: number, status: string, text: string])[] = [
  [CLEANUP_STATUS.DEFER, 451, '4.7.1', 'Error: service unavailable'],
  [CLEANUP_STATUS.PROXY, 451, '4.3.0', 'Error: queue file write error'],
  [CLEANUP_STATUS.BAD, 451, '4.3.0', 'Error: internal error 1'],
  [CLEANUP_STATUS.RCPT, 550, '5.1.0', 'Error: no recipients specified'],
  [CLEANUP_STATUS.HOPS, 554, '5.4.0', 'Error: too many hops'],
  [CLEANUP_STATUS.SIZE, 552, '5.3.4', 'Error: message file too big'],
  [CLEANUP_STATUS.CONT, 550, '5.7.1', 'message content rejected'],
  [CLEANUP_STATUS.WRITE, 451, '4.3.0', 'Error: queue file write error'],
  [CLEANUP_STATUS.NOPERM, 550, '5.7.1', 'Error: service denied'],
];

/** `reason` may be a whole reply, a text with its own status, or just a text. */
export function replyFor(status: number, reason: string): string {
  if (/^[245]\d\d[ -]/.test(reason)) return reason;
  const trouble = TROUBLES.find(([bit]) => (status & bit) !== 0);
  if (trouble === undefined) return `451 4.3.0 Error: internal error ${status}`;
  const [, code, dsn, text] = trouble;
  if (reason === '') return `${code} ${dsn} ${text}`;
  return /^[245]\.\d{1,3}\.\d{1,3} /.test(reason)
    ? `${code} ${reason}`
    : `${code} ${dsn} ${reason}`;
}

/** What went wrong, for the log. */
export function describeFailure(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
