/** C's names for control characters. */
const NAMES: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  92: '\\\\',
};

/** Bytes as the log shows them: what is not printable ASCII is written as in C. */
export function escapeBytes(bytes: Buffer): string {
  let text = '';
  for (const byte of bytes) {
    if (byte >= 0x20 && byte < 0x7f && byte !== 0x5c) text += String.fromCharCode(byte);
    else text += NAMES[byte] ?? `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return text;
}
