/** Netstrings: `5:hello,`. http://cr.yp.to/proto/netstrings.txt */

const COLON = 0x3a;
const COMMA = 0x2c;
const ZERO = 0x30;
const NINE = 0x39;

/** What is in front of us is no netstring, or too long. */
export class NetstringError extends Error {}

export function formatNetstring(content: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${content.length}:`), content, Buffer.from(',')]);
}

/**
 * Takes one netstring from the start of `bytes`.
 *
 * @returns its content and the offset behind it; `undefined` when `bytes` ends first
 * @throws {NetstringError}
 */
export function parseNetstring(
  bytes: Buffer,
  bytesMax: number,
): { content: Buffer; next: number } | undefined {
  let length = 0;
  let at = 0;
  for (; at < bytes.length && bytes[at] !== COLON; at += 1) {
    const digit = bytes[at] as number;
    if (digit < ZERO || digit > NINE) throw new NetstringError('input format error');
    length = length * 10 + (digit - ZERO);
    if (length > bytesMax) throw new NetstringError('input exceeds size limit');
  }
  if (at === bytes.length) return undefined;
  if (at === 0) throw new NetstringError('input format error');
  const start = at + 1;
  const end = start + length;
  if (bytes.length <= end) return undefined;
  if (bytes[end] !== COMMA) throw new NetstringError('input format error');
  return { content: bytes.subarray(start, end), next: end + 1 };
}
