/** Queue ids: they name a message, and its file in whatever queue that is. */
import type { WallTime } from '../clock/clock.ts';

declare const brand: unique symbol;

/** Names one message and its file: `4F2B81A03C`. Only this file makes one: safe in a path. */
export type QueueId = string & { readonly [brand]: 'QueueId' };

/** What a queue id is made of. The inode binds it to its file, so that no two live ones are equal. */
export interface QueueIdParts extends WallTime {
  readonly inode: number;
}

const VALID = /^[0-9A-Za-z_]{2,255}$/;

/**
 * Reads a queue id. One character is refused although Postfix takes it: in a scanned queue such a
 * name is a subdirectory.
 */
export function parseQueueId(text: string): QueueId | undefined {
  return VALID.test(text) ? (text as QueueId) : undefined;
}

/** Digits of long ids, in value order. No vowels: an id never spells a word. */
const DIGITS = '0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz';
/** Parts the time from the inode, which is written without this digit. */
const SEPARATOR = 'z';
const SECONDS_WIDTH = 6;
const MICROSECONDS_WIDTH = 4;
const TIME_WIDTH = SECONDS_WIDTH + MICROSECONDS_WIDTH;

/** Makes the id of a file: `enable_long_queue_ids` decides the form. */
export function makeQueueId(parts: QueueIdParts, long: boolean): QueueId {
  if (!long) {
    const microseconds = parts.microseconds.toString(16).padStart(5, '0');
    return (microseconds + parts.inode.toString(16)).toUpperCase() as QueueId;
  }
  const seconds = encode(parts.seconds, 52).padStart(SECONDS_WIDTH, '0');
  const microseconds = encode(parts.microseconds, 52).padStart(MICROSECONDS_WIDTH, '0');
  return (seconds + microseconds + SEPARATOR + encode(parts.inode, 51)) as QueueId;
}

/** Whether an id is of the long form, which tells when the message came. */
export function isLongId(id: string): boolean {
  return separatorOf(id) >= 0;
}

/** The parts of a long id, or `undefined` when it is a short one or malformed. */
export function parseLongId(id: string): QueueIdParts | undefined {
  const separator = separatorOf(id);
  if (separator < 0) return undefined;
  const seconds = decode(id.slice(0, separator - MICROSECONDS_WIDTH), 52);
  const microseconds = decode(id.slice(separator - MICROSECONDS_WIDTH, separator), 52);
  const inode = decode(id.slice(separator + 1), 51);
  if (seconds === undefined || microseconds === undefined || inode === undefined) return undefined;
  return { seconds, microseconds, inode };
}

/** The parts of a short id; the seconds are not in it. */
export function parseShortId(id: string): Omit<QueueIdParts, 'seconds'> | undefined {
  if (!/^[0-9A-F]{6,}$/.test(id)) return undefined;
  const microseconds = Number.parseInt(id.slice(0, 5), 16);
  return { microseconds, inode: Number.parseInt(id.slice(5), 16) };
}

/** The characters that choose the subdirectories of a hashed queue. */
export function hashKey(id: string): string {
  const separator = separatorOf(id);
  if (separator < 0) return id;
  const microseconds = decode(id.slice(separator - MICROSECONDS_WIDTH, separator), 52) ?? 0;
  return microseconds.toString(16).toUpperCase().padStart(5, '0');
}

function separatorOf(id: string): number {
  const separator = id.lastIndexOf(SEPARATOR);
  return separator >= TIME_WIDTH ? separator : -1;
}

function encode(value: number, base: number): string {
  let text = '';
  for (let rest = value; rest > 0; rest = Math.floor(rest / base)) {
    text = DIGITS.charAt(rest % base) + text;
  }
  return text;
}

function decode(text: string, base: number): number | undefined {
  let value = 0;
  for (let index = 0; index < text.length; index += 1) {
    const digit = DIGITS.indexOf(text.charAt(index));
    if (digit < 0 || digit >= base) return undefined;
    value = value * base + digit;
    if (value > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return value;
}
