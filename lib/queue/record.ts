/**
 * Records: what queue files and the cleanup protocol are made of. One type byte, the length in
 * groups of seven bits (low bits first, bit 7 says that more follow), then the data.
 * Postfix: record(3).
 */

/** A record's type letters, by what they mean. */
export const RECORD = {
  size: 'C',
  time: 'T',
  createTime: 'c',
  fullName: 'F',
  inspector: 'I',
  filter: 'L',
  sender: 'S',
  recipient: 'R',
  done: 'D',
  canceled: '/',
  originalRecipient: 'O',
  warnTime: 'W',
  attribute: 'A',
  killed: 'K',
  redirect: '>',
  verp: 'V',
  pointer: 'p',
  dsnReturn: '<',
  dsnEnvelopeId: 'i',
  dsnOriginalRecipient: 'o',
  dsnNotify: 'n',
  message: 'M',
  text: 'N',
  /** Text without line end. The same letter as `filter`: the place decides. */
  longText: 'L',
  padding: 'w',
  extracted: 'X',
  returnReceipt: 'r',
  errorsTo: 'e',
  priority: 'P',
  end: 'E',
  /** On the way to cleanup only: flags, delay, and the number of milters. */
  flags: 'f',
  delay: 'd',
  milterCount: 'm',
} as const;

/** Four length bytes: 256 MiB, more than any record we write. */
export const LENGTH_BITS_MAX = 28;
/** The type and the longest length. */
export const HEADER_BYTES_MAX = 1 + LENGTH_BITS_MAX / 7;
/** Longest record we take from others: line_length_limit is far below, addresses too. */
export const RECORD_BYTES_MAX = 16 * 1024 * 1024;

/** Bytes that are no record. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
}

/** One record; `data` is a view of the bytes it was found in. */
export interface Record {
  readonly type: string;
  readonly data: Buffer;
}

export interface FoundRecord {
  readonly record: Record;
  /** Where the next one starts. */
  readonly next: number;
}

/**
 * Reads the record that starts at `offset` (bytes).
 *
 * @returns the record and the offset of the next one, or `undefined` when
 *   `bytes` ends first: read more of the file, then ask again
 * @throws {RecordError} when the length is malformed; the file is damaged
 */
export function readRecord(bytes: Buffer, offset: number): FoundRecord | undefined {
  let start = offset + 1;
  let length = 0;
  for (let shift = 0, more = true; more; shift += 7) {
    if (shift === LENGTH_BITS_MAX) throw new RecordError(`Record at ${offset}: length too long`);
    const byte = bytes[start++];
    if (byte === undefined) return undefined;
    length |= (byte & 0x7f) << shift;
    more = byte >= 0x80;
  }
  const next = start + length;
  if (next > bytes.length) return undefined;
  const type = bytes.toString('latin1', offset, offset + 1);
  return { record: { type, data: bytes.subarray(start, next) }, next };
}

/** One record as bytes. Many of them: use a RecordWriter. */
export function formatRecord(type: string, data: Buffer | string = ''): Buffer {
  const length = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
  const bytes = Buffer.allocUnsafe(1 + lengthBytes(length) + length);
  const start = writeHeader(bytes, 0, type, length);
  if (typeof data === 'string') bytes.write(data, start);
  else data.copy(bytes, start);
  return bytes;
}

/** How many bytes it takes to write a length. */
export function lengthBytes(length: number): number {
  if (length < 1 << 7) return 1;
  if (length < 1 << 14) return 2;
  return length < 1 << 21 ? 3 : 4;
}

/** Writes type and length at `offset`, and says where the data goes. */
export function writeHeader(bytes: Buffer, offset: number, type: string, length: number): number {
  if (length >= 2 ** LENGTH_BITS_MAX)
    throw new RecordError(`Record of ${length} bytes is too long`);
  bytes[offset] = type.charCodeAt(0);
  let at = offset + 1;
  let rest = length;
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

export { RecordParser } from './record-parser.ts';
export { RecordWriter } from './record-writer.ts';
