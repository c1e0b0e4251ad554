/**
 * Composes a notice (RFC 3464): lines of text, up to where the original message is attached. Pure:
 * whoever calls brings the time, the log's entries and the texts. Structure: queue.md 6.3.
 */
import { quote } from '../address/address.ts';
import { formatDate } from '../message/date.ts';
import type { DsnDetail } from './detail.ts';
import type { Template } from './template.ts';
import { wrapLine } from './wrap.ts';

/** A recipient that a notice tells about; entries of lib/queue's logs are such. */
export interface ReportedRecipient {
  readonly recipient: {
    readonly original: string;
    readonly address: string;
    readonly dsnOriginal: string;
  };
  readonly detail: DsnDetail;
}

/** What the notice is about; absent parts could not be read. */
export interface ReportedMessage {
  readonly queueId: string;
  readonly envelopeId: string;
  readonly sender?: string;
  /** Milliseconds since the epoch. */
  readonly arrivedAt?: number;
  /** With its angle brackets, for References: and In-Reply-To:. */
  readonly messageId?: string;
}

/** One notice. */
export interface Report {
  readonly template: Template;
  /** The template's text with all names filled in. */
  readonly text: readonly string[];
  /** A postmaster copy: another subject, and no text. */
  readonly postmaster: boolean;
  readonly to: string;
  readonly hostname: string;
  readonly message: ReportedMessage;
  /** Milliseconds since the epoch; part of the boundary. */
  readonly madeAt: number;
  /** `''`: say nothing of the encoding. */
  readonly encoding: '' | '7bit' | '8bit';
  /** SMTPUTF8 was requested: RFC 6533's types. */
  readonly utf8: boolean;
  /** SMTPUTF8 was needed, at least: addresses that are not ASCII have a type of their own. */
  readonly utf8Addresses: boolean;
  /** header_from_format = obsolete. */
  readonly oldFrom: boolean;
  /** Delay notices: when we give up, in milliseconds since the epoch. */
  readonly retryUntil?: number;
}

/** How much of the original message is attached. */
export type Attached = 'message' | 'headers';

/** The whole notice, but for the original message. `recipients` is called twice. */
export function* reportLines(
  report: Report,
  recipients: () => Iterable<ReportedRecipient>,
  attached: Attached,
): Generator<string, void, undefined> {
  yield* headLines(report);
  if (!report.postmaster) yield* report.text;
  let count = 0;
  for (const recipient of recipients()) {
    yield '';
    yield* recipientText(recipient);
    count += 1;
  }
  if (count === 0) yield* ['', '\t--- Delivery report unavailable ---'];
  yield* statusHead(report);
  for (const recipient of recipients()) {
    yield '';
    yield* recipientStatus(report, recipient);
  }
  yield* attachmentHead(report, attached);
}

/** What follows the original message. */
export function reportEnd(report: Report): readonly string[] {
  return ['', `--${boundaryOf(report)}--`];
}

function boundaryOf({ message, madeAt, hostname }: Report): string {
  return `${message.queueId}.${Math.floor(madeAt / 1000)}/${hostname}`;
}

function* headLines(report: Report): Generator<string> {
  const { template, postmaster, message } = report;
  const boundary = boundaryOf(report);
  yield `From: ${fromOf(report)}`;
  yield `Subject: ${postmaster ? template.postmasterSubject : template.subject}`;
  yield `To: ${quote(report.to)}`;
  if (message.messageId !== undefined) {
    yield `References: ${message.messageId}`;
    yield `In-Reply-To: ${message.messageId}`;
  }
  yield `Auto-Submitted: ${postmaster ? 'auto-generated' : 'auto-replied'}`;
  yield 'MIME-Version: 1.0';
  yield 'Content-Type: multipart/report; report-type=delivery-status;';
  yield `\tboundary="${boundary}"`;
  if (report.encoding !== '') yield `Content-Transfer-Encoding: ${report.encoding}`;
  yield* ['', 'This is a MIME-encapsulated message.', '', `--${boundary}`];
  yield 'Content-Description: Notification';
  yield `Content-Type: text/plain; charset=${charsetOf(report)}`;
  yield* partEncoding(report);
  yield '';
}

/** An administrator's own From: stays as it is; ours has two forms (header_from_format). */
function fromOf({ template, oldFrom }: Report): string {
  if (template.from !== undefined) return template.from;
  return oldFrom ? 'MAILER-DAEMON (Mail Delivery System)' : 'Mail Delivery System <MAILER-DAEMON>';
}

/** Reasons may hold UTF-8 even where the template is plain ASCII. */
function charsetOf({ template, encoding }: Report): string {
  const plain = template.charset.toLowerCase() === 'us-ascii';
  return plain && encoding === '8bit' ? 'utf-8' : template.charset;
}

function partEncoding({ encoding }: Report): string[] {
  return encoding === '8bit' ? ['Content-Transfer-Encoding: 8bit'] : [];
}

/** For people: `<bob@example.com> (expanded from <al@example.com>): user unknown`. */
function recipientText({ recipient, detail }: ReportedRecipient): string[] {
  const { original, address } = recipient;
  const from = differs(original, address) ? ` (expanded from <${external(original)}>)` : '';
  return wrapLine(`<${external(address)}>${from}: ${detail.reason}`);
}

function* statusHead(report: Report): Generator<string> {
  const { message, hostname, utf8 } = report;
  yield* ['', `--${boundaryOf(report)}`, 'Content-Description: Delivery report'];
  yield `Content-Type: message/${utf8 ? 'global-' : ''}delivery-status`;
  if (utf8) yield* partEncoding(report);
  yield* ['', `Reporting-MTA: dns; ${hostname}`];
  if (message.envelopeId !== '') yield `Original-Envelope-Id: ${message.envelopeId}`;
  yield `X-Postfix-Queue-ID: ${message.queueId}`;
  if (message.sender !== undefined) {
    const sender = message.sender === '' ? `MAILER-DAEMON@${hostname}` : message.sender;
    yield `X-Postfix-Sender: ${typed(report, sender)}`;
  }
  if (message.arrivedAt !== undefined) yield `Arrival-Date: ${formatDate(message.arrivedAt)}`;
}

function* recipientStatus(report: Report, entry: ReportedRecipient): Generator<string> {
  const { recipient, detail } = entry;
  const failure = report.template.name === 'failure';
  yield `Final-Recipient: ${typed(report, recipient.address)}`;
  if (recipient.dsnOriginal !== '') yield `Original-Recipient: ${recipient.dsnOriginal}`;
  else if (differs(recipient.original, recipient.address)) {
    yield `Original-Recipient: ${typed(report, recipient.original)}`;
  }
  yield `Action: ${failure ? 'failed' : detail.action}`;
  yield `Status: ${detail.status}`;
  if (detail.mtaType !== '' && detail.mtaName !== '') {
    yield* wrapLine(`Remote-MTA: ${detail.mtaType}; ${detail.mtaName}`);
  }
  const diagnosed = detail.diagType !== '' && detail.diagText !== '';
  const said = diagnosed ? `${detail.diagType}; ${detail.diagText}` : `X-Postfix; ${detail.reason}`;
  yield* wrapLine(`Diagnostic-Code: ${said}`);
  if (report.retryUntil !== undefined) yield `Will-Retry-Until: ${formatDate(report.retryUntil)}`;
}

function* attachmentHead(report: Report, attached: Attached): Generator<string> {
  const { message, template, utf8 } = report;
  const failed = template.name === 'failure' || template.name === 'delay';
  const what = attached === 'message' ? 'Message' : 'Message Headers';
  yield* ['', `--${boundaryOf(report)}`];
  yield `Content-Description: ${failed ? 'Undelivered ' : ''}${what}`;
  if (attached === 'message') yield `Content-Type: message/${utf8 ? 'global' : 'rfc822'}`;
  else yield `Content-Type: ${utf8 ? 'message/global-headers' : 'text/rfc822-headers'}`;
  yield* partEncoding(report);
  yield '';
  if (message.sender === undefined) yield '\t--- Undelivered message unavailable ---';
  else yield `Return-Path: <${quote(message.sender)}>`;
}

function typed(report: Report, address: string): string {
  const isUtf8 = report.utf8Addresses && !/^[\x00-\x7f]*$/.test(address);
  return `${isUtf8 ? 'utf-8' : 'rfc822'}; ${external(address)}`;
}

/** The null recipient shows as in the log: `<>`. */
function external(address: string): string {
  return address === '' ? '<>' : quote(address);
}

function differs(original: string, address: string): boolean {
  return original !== '' && original.toLowerCase() !== address.toLowerCase();
}
