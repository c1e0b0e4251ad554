const MINUS = 0x2d;
const ZERO = 0x30;
const UINT32_DIGITS_MAX = 10;
const UINT64_DIGITS_MAX = 20;
const UINT32_MAX = 2 ** 32 - 1;
const INT32_MIN = -(2 ** 31);
/** So many digits are always exact in a double. */
const EXACT_DIGITS = 15;

/**
 * Parses an `int`: it is sent unsigned, so 4294967295 is -1; `-1` is taken, too.
 *
 * @returns `undefined` when it is not a number of 32 bits
 */
export function parseInt32(bytes: Buffer, start: number, end: number): number | undefined {
  const value = parseDigits(bytes, start, end, UINT32_DIGITS_MAX);
  if (value === undefined || value > UINT32_MAX || value < INT32_MIN) return undefined;
  return value | 0;
}

/**
 * Parses a `long`: 18446744073709551615 is -1.
 *
 * @returns `undefined` when it is not a number, or none that JavaScript holds exactly
 */
export function parseInt64(bytes: Buffer, start: number, end: number): number | undefined {
  if (end - start <= EXACT_DIGITS) return parseDigits(bytes, start, end, EXACT_DIGITS);
  const negative = bytes[start] === MINUS;
  const first = negative ? start + 1 : start;
  if (end - first > UINT64_DIGITS_MAX || !areDigits(bytes, first, end)) return undefined;
  const magnitude = BigInt(bytes.toString('latin1', first, end));
  if (magnitude >= 1n << 64n) return undefined;
  const value = Number(BigInt.asIntN(64, negative ? -magnitude : magnitude));
  return Number.isSafeInteger(value) ? value : undefined;
}

/** @returns `undefined` when it is not base64 */
export function parseData(bytes: Buffer, start: number, end: number): Buffer | undefined {
  const text = bytes.toString('latin1', start, end);
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}

/** A name from the wire that is fit for a message. */
export function printableName(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('latin1', start, end).replace(/[^\x20-\x7e]/g, '?');
}

function parseDigits(
  bytes: Buffer,
  start: number,
  end: number,
  digitsMax: number,
): number | undefined {
  const negative = bytes[start] === MINUS;
  const first = negative ? start + 1 : start;
  if (end <= first || end - first > digitsMax) return undefined;
  let value = 0;
  for (let at = first; at < end; at += 1) {
    const digit = (bytes[at] as number) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return negative ? -value : value;
}

function areDigits(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const digit = (bytes[at] as number) - ZERO;
    if (digit < 0 || digit > 9) return false;
  }
  return end > start;
}
