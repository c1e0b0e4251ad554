/**
 * RFC 5322 header lines: where the name ends, what we know about it. Pure.
 */

/** What we do with a header that we know. */
export interface KnownHeader {
  /** As we write it. */
  readonly name: string;
  /** The addresses in it are senders, recipients, or it has none. */
  readonly addresses: 'sender' | 'recipient' | undefined;
  /** `sendmail -t` takes recipients from it. */
  readonly extract: boolean;
  /** One of the Resent- headers. */
  readonly resent: boolean;
  /** Says something about MIME structure. */
  readonly mime: boolean;
}

const KNOWN = new Map<string, KnownHeader>();

function know(names: string, kind: Partial<KnownHeader>): void {
  for (const name of names.split(' ')) {
    const resent = name.startsWith('Resent-');
    const header = { name, addresses: undefined, extract: false, resent, mime: false, ...kind };
    KNOWN.set(name.toLowerCase(), header);
  }
}

know('Bcc Cc To Resent-Bcc Resent-Cc Resent-To', { addresses: 'recipient', extract: true });
know('Apparently-To', { addresses: 'recipient' });
know('Disposition-Notification-To Errors-To From Mail-Followup-To Reply-To', {
  addresses: 'sender',
});
know('Return-Path Return-Receipt-To Sender', { addresses: 'sender' });
know('Resent-From Resent-Reply-To Resent-Sender', { addresses: 'sender' });
know('Content-Length Date Delivered-To Message-Id Received Resent-Date Resent-Message-Id', {});
know('Content-Description Content-Disposition Content-Id Content-Transfer-Encoding', {
  mime: true,
});
know('Content-Type MIME-Version', { mime: true });

/** Looks a header name up, whatever its case. */
export function knownHeader(name: string): KnownHeader | undefined {
  return KNOWN.get(name.toLowerCase());
}

/**
 * Length of the header name that a line starts with; 0 when the line is no header. Blanks may
 * stand between name and colon, nothing unprintable in it.
 */
export function headerNameLength(line: string): number {
  let end = 0;
  let blank = false;
  for (let at = 0; at < line.length; at += 1) {
    const code = line.charCodeAt(at);
    if (code === 0x3a) return end;
    if (code === 0x20 || code === 0x09) {
      if (end === 0) return 0;
      blank = true;
    } else {
      if (blank || code <= 0x20 || code >= 0x7f) return 0;
      end = at + 1;
    }
  }
  return 0;
}

/** A header, its folds kept: lines are joined by '\n'. */
export interface Header {
  readonly name: string;
  /** Everything behind the colon. */
  readonly value: string;
}

/** Splits a whole header at its colon; undefined when it is none. */
export function parseHeader(text: string): Header | undefined {
  const length = headerNameLength(text);
  if (length === 0) return undefined;
  return { name: text.slice(0, length), value: text.slice(text.indexOf(':', length) + 1) };
}

/** A header value as one line: folds become what they stand for. */
export function unfold(value: string): string {
  return value.replace(/\r?\n(?=[ \t])/g, '');
}

/** Characters that would end a header that we make, or hide in it. */
const UNSAFE_IN_HEADER = /[\r\n\0]/;

/** Makes a header line; refuses values that would make two of it. */
export function formatHeader(name: string, value: string): string {
  if (UNSAFE_IN_HEADER.test(value) || headerNameLength(`${name}:`) !== name.length) {
    throw new RangeError(`Header ${name}: line break or NUL in its value`);
  }
  return `${name}: ${value}`;
}
