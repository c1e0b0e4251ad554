/**
 * Text of mail is a byte string here: one character for each byte, whatever the charset. Tables,
 * the rewrite service and the log want real text; that is UTF-8 when it is any.
 */

const EIGHT_BIT = /[\x80-\xff]/;
const WIDE = /[\u0100-\uffff]/;

export function isAscii(text: string): boolean {
  return !EIGHT_BIT.test(text);
}

/** Bytes as text; undefined when they are no UTF-8. */
export function toText(bytes: string): string | undefined {
  if (isAscii(bytes)) return bytes;
  const text = Buffer.from(bytes, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? undefined : text;
}

/** For the log, where what is no UTF-8 becomes unreadable, not wrong. */
export function toLogText(bytes: string): string {
  return toText(bytes) ?? bytes.replace(/[\x80-\xff]/g, '?');
}

export function fromText(text: string): string {
  return WIDE.test(text) || EIGHT_BIT.test(text) ? Buffer.from(text).toString('latin1') : text;
}

/** Calls a function of texts on a byte string; what is no UTF-8 is left alone. */
export async function onText(
  bytes: string,
  action: (text: string) => string | Promise<string>,
): Promise<string> {
  const text = toText(bytes);
  return text === undefined ? bytes : fromText(await action(text));
}
