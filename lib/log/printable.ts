/** Text from outside, made safe to log or to reply with: bounded, and without control characters. */

/** What one log line may hold after its prefix, in bytes. Postfix: 2000. */
export const LINE_BYTES_MAX = 2000;

/** A UTF-16 unit takes at most three bytes of UTF-8: shorter text needs no counting. */
const UNITS_SURE_TO_FIT = Math.floor(LINE_BYTES_MAX / 3);

/** C0 and C1 controls, and halves of surrogate pairs that lost their partner. */
const UNPRINTABLE =
  /[\x00-\x1f\x7f-\x9f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const SUSPECT = /[^\x20-\x7e]/;

/** Replaces what must not reach a terminal or a log by `?`. UTF-8 stays. */
export function printable(text: string): string {
  return SUSPECT.test(text) ? text.replace(UNPRINTABLE, '?') : text;
}

/** Printable, and cut at `bytesMax` bytes of UTF-8, between two characters. */
export function printableLine(text: string, bytesMax: number = LINE_BYTES_MAX): string {
  const clean = printable(text.length > bytesMax ? text.slice(0, bytesMax) : text);
  if (clean.length <= UNITS_SURE_TO_FIT && bytesMax >= LINE_BYTES_MAX) return clean;
  const bytes = Buffer.from(clean, 'utf8');
  if (bytes.length <= bytesMax) return clean;
  let end = bytesMax;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/** The same where UTF-8 is not to be seen (smtputf8_enable = no): a `?` for each byte of it. */
export function asciiOnly(text: string): string {
  if (!SUSPECT.test(text)) return text;
  return Buffer.from(text, 'utf8')
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, '?');
}
