/** The lines that a final delivery puts before a message. Pure. */
import { quote } from '../address/address.ts';
import { dateOf } from '../clock/clock.ts';

/** Which lines, and their values: addresses in the form of the queue. */
export interface PrependedHeaders {
  /** The `From ` line that separates the messages of a mailbox, with the time of delivery in ms. */
  readonly fromLine?: number;
  /** The envelope sender; '' is the null sender. */
  readonly sender: string;
  /** The recipient as it was before aliasing; '' when that is not recorded. */
  readonly original: string;
  /** Left out where prepend_delivered_header does not name the kind of delivery. */
  readonly delivered?: string;
}

/** Formats them in Postfix's order: `From `, Return-Path, X-Original-To, Delivered-To. */
export function formatPrependedHeaders(headers: PrependedHeaders): string {
  const { fromLine, sender, original, delivered } = headers;
  let text = '';
  if (fromLine !== undefined) {
    text += `From ${headerText(quote(sender)) || 'MAILER-DAEMON'}  ${formatAsctime(fromLine)}\n`;
  }
  text += `Return-Path: <${headerText(quote(sender))}>\n`;
  if (original !== '') text += `X-Original-To: ${headerText(quote(original))}\n`;
  if (delivered !== undefined) text += `Delivered-To: ${headerText(quote(delivered))}\n`;
  return text;
}

/** An address must not bring lines of its own. */
function headerText(text: string): string {
  return text.replace(/[\r\n\0]/g, '?');
}

const DAYS = 'Sun Mon Tue Wed Thu Fri Sat'.split(' ');
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** `Sat Nov 21 23:06:54 2026`, local time, as asctime(3) has it. */
export function formatAsctime(milliseconds: number): string {
  const date = dateOf(milliseconds);
  const two = (number: number) => String(number).padStart(2, '0');
  const day = String(date.getDate()).padStart(2, ' ');
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${DAYS[date.getDay()]} ${MONTHS[date.getMonth()]} ${day} ${time} ${date.getFullYear()}`;
}
