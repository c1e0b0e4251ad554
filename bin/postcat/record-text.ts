/** One record as a line that people can read. Pure. */
import { dateOf } from '../../lib/clock/clock.ts';

/** What each record type is called. */
const NAMES: Readonly<Record<string, string>> = {
  C: 'message_size',
  T: 'message_arrival_time',
  c: 'queue_file_create_time',
  F: 'sender_fullname',
  I: 'content_inspector',
  L: 'content_filter',
  S: 'sender',
  R: 'recipient',
  D: 'done_recipient',
  '/': 'canceled_recipient',
  O: 'original_recipient',
  W: 'warning_message_time',
  A: 'named_attribute',
  K: 'killed_record',
  '>': 'redirect_to',
  V: 'verp_delimiters',
  p: 'pointer_record',
  '<': 'dsn_return_flags',
  i: 'dsn_envelope_id',
  o: 'dsn_original_recipient',
  n: 'dsn_notify_flags',
  M: 'message_content',
  N: 'regular_text',
  w: 'padding',
  X: 'extracted_info',
  r: 'return_receipt',
  e: 'errors_to',
  P: 'priority',
  E: 'message_end',
  f: 'flags',
};

const CREATE_TIME = 'create_time=';

/** `sender: alice@lab.test`, as bytes: what is in the record goes out as it is. */
export function envelopeLine(type: string, data: Buffer): Buffer {
  const nul = data.indexOf(0);
  const value = nul < 0 ? data : data.subarray(0, nul);
  const text = value.toString('latin1');
  if (type === 'T' || type === 'W') return line(NAMES[type] ?? type, timeText(text));
  if (type === 'A' && text.startsWith(CREATE_TIME)) {
    return line('create_time', timeText(text.slice(CREATE_TIME.length)));
  }
  return line(NAMES[type] ?? 'unknown_record_type', text);
}

function line(name: string, value: string): Buffer {
  return Buffer.from(`${name}: ${value}\n`, 'latin1');
}

function timeText(text: string): string {
  return ascTime(Number.parseInt(text, 10) || 0);
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** As the C library's asctime(3) has it, in local time: `Sat Nov 21 22:37:38 2026`. */
export function ascTime(seconds: number): string {
  const date = dateOf(seconds * 1000);
  const two = (number: number) => String(number).padStart(2, '0');
  const day = String(date.getDate()).padStart(3);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${DAYS[date.getDay()]} ${MONTHS[date.getMonth()]}${day} ${time} ${date.getFullYear()}`;
}
