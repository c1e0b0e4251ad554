/** RFC 3461 section 4: text in a form that has no spaces, for ESMTP parameters. */

const HEX_PAIR = /^[0-9A-Fa-f]{2}$/;

/** Encodes bytes given as text: `+`, `=` and all but printable ASCII become `+XX`. */
export function encodeXtext(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x2b && byte !== 0x3d;
    encoded += plain ? String.fromCharCode(byte) : '+' + hexPair(byte);
  }
  return encoded;
}

/** Decodes; `undefined` when the text is not xtext. A bare `=` is taken, as Postfix does. */
export function decodeXtext(xtext: string): string | undefined {
  const bytes: number[] = [];
  for (let at = 0; at < xtext.length; at += 1) {
    const code = xtext.charCodeAt(at);
    if (code === 0x2b) {
      const pair = xtext.slice(at + 1, at + 3);
      if (!HEX_PAIR.test(pair)) return undefined;
      bytes.push(Number.parseInt(pair, 16));
      at += 2;
    } else if (code > 0x20 && code < 0x7f) {
      bytes.push(code);
    } else {
      return undefined;
    }
  }
  return Buffer.from(bytes).toString('utf8');
}

function hexPair(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}
