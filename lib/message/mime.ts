/**
 * The structure of a message, found while it streams by: where headers are, which parts they belong
 * to, and where 8-bit data is that should not be. Lines in, events out; no I/O, bounded memory.
 * Text is a byte string: each character is one byte. Postfix: mime_state(3).
 */
import { headerNameLength } from './header.ts';
import { type HeaderWord, readWords } from './header-words.ts';

export interface MimeOptions {
  /** disable_mime_input_processing: everything behind the first headers is body. */
  readonly disabled: boolean;
  /** mime_nesting_limit */
  readonly nestingLimit: number;
  /** mime_boundary_length_limit */
  readonly boundaryLimit: number;
  /** header_size_limit: bytes of one header kept; the rest is dropped and reported. */
  readonly headerLimit: number;
  /** What to report as errors; nothing is looked for that is not to be reported. */
  readonly report: {
    readonly nesting: boolean;
    readonly eightBitHeader: boolean;
    readonly eightBitBody: boolean;
    readonly encodingDomain: boolean;
  };
}

/** Whose header it is: the message's, a body part's, or an attached message's. */
export type HeaderClass = 'primary' | 'part' | 'nested';

export type MimeError =
  | 'nesting'
  | 'header-length'
  | 'eight-bit-header'
  | 'eight-bit-body'
  | 'encoding-domain';

/** Postfix's words for each. */
export const MIME_ERROR_TEXT: Readonly<Record<MimeError, string>> = {
  nesting: 'MIME nesting exceeds safety limit',
  'header-length': 'message header length exceeds safety limit',
  'eight-bit-header': 'improper use of 8-bit data in message header',
  'eight-bit-body': 'improper use of 8-bit data in message body',
  'encoding-domain': 'invalid message/* or multipart/* encoding domain',
};

export type MimeEvent =
  /** One whole header; its lines are joined by '\n'. */
  | { readonly kind: 'header'; readonly of: HeaderClass; readonly text: string }
  /** The message's own headers are complete. */
  | { readonly kind: 'headers-end' }
  /** A line of body, or an empty line behind headers; `continued` means the next one goes on with it. */
  | { readonly kind: 'body'; readonly text: string; readonly continued: boolean }
  | { readonly kind: 'error'; readonly error: MimeError; readonly text: string };

type Encoding = '7bit' | '8bit' | 'binary' | 'quoted-printable' | 'base64';
type ContentType = 'text' | 'message' | 'message-rfc822' | 'multipart' | 'other';

interface Boundary {
  readonly text: string;
  readonly defaultType: ContentType;
}

const ENCODINGS: ReadonlyMap<string, Encoding> = new Map<string, Encoding>([
  ['7bit', '7bit'],
  ['8bit', '8bit'],
  ['binary', 'binary'],
  ['quoted-printable', 'quoted-printable'],
  ['base64', 'base64'],
]);

/** Subtypes of message/ that hold headers and a body of their own. */
const WHOLE_MESSAGES = new Set(['rfc822', 'global']);

const EIGHT_BIT = /[\x80-\xff]/;

export class MimeParser {
  readonly #options: MimeOptions;
  readonly #boundaries: Boundary[] = [];
  #state: HeaderClass | 'body' = 'primary';
  #type: ContentType = 'text';
  #encoding: Encoding = '7bit';
  #header: string[] = [];
  #headerLength = 0;
  #truncated = false;
  #previousContinued = false;

  constructor(options: MimeOptions) {
    this.#options = options;
  }

  /** Still in the headers of the message itself. */
  get inPrimaryHeaders(): boolean {
    return this.#state === 'primary';
  }

  /** From here to the end nothing can be found any more: the rest may be copied unseen. */
  get isOpaque(): boolean {
    return (
      this.#state === 'body' && this.#boundaries.length === 0 && !this.#options.report.eightBitBody
    );
  }

  /** Only lines that begin with `--` can matter here; others may be copied unseen. */
  get wantsBoundariesOnly(): boolean {
    return this.#state === 'body' && !this.#options.report.eightBitBody;
  }

  /** A line went by unseen; `continued` when its end is still to come. */
  skipped(continued: boolean): void {
    this.#previousContinued = continued;
  }

  /** Takes one line or piece of a line; `continued` when the next one goes on with it. */
  line(text: string, continued: boolean): MimeEvent[] {
    const events: MimeEvent[] = [];
    const startsLine = !this.#previousContinued;
    if (this.#state === 'body') this.#bodyLine(text, continued, startsLine, events);
    else this.#headerLine(text, continued, startsLine, events);
    this.#previousContinued = continued;
    return events;
  }

  /** The content ends here. */
  end(): MimeEvent[] {
    const events: MimeEvent[] = [];
    if (this.#header.length > 0) this.#finishHeader(events);
    if (this.#state !== 'body') this.#endHeaders(events);
    return events;
  }

  #headerLine(text: string, continued: boolean, startsLine: boolean, events: MimeEvent[]): void {
    if (this.#header.length > 0) {
      if (!startsLine) {
        this.#append(text, '');
        return;
      }
      if (text.startsWith(' ') || text.startsWith('\t')) {
        this.#append(text, '\n');
        return;
      }
      this.#finishHeader(events);
    }
    if (startsLine && headerNameLength(text) > 0) {
      this.#append(text, '');
      return;
    }
    this.#endHeaders(events);
    if (text === '' && !continued) {
      events.push({ kind: 'body', text, continued });
      return;
    }
    // The empty line is missing; what a message without one means is this.
    if (!(text.startsWith('--') && this.#boundaries.length > 0)) {
      this.#state = 'body';
      events.push({ kind: 'body', text: '', continued: false });
    } else {
      this.#state = 'body';
    }
    this.#bodyLine(text, continued, startsLine, events);
  }

  #append(text: string, separator: string): void {
    const room = this.#options.headerLimit - this.#headerLength;
    const piece = separator + text;
    if (piece.length > room) this.#truncated = true;
    const kept = piece.length > room ? piece.slice(0, Math.max(room, 0)) : piece;
    this.#header.push(kept);
    this.#headerLength += kept.length;
  }

  #finishHeader(events: MimeEvent[]): void {
    const of = this.#state as HeaderClass;
    const text = withoutBlanks(this.#header.join(''));
    this.#header = [];
    this.#headerLength = 0;
    if (this.#truncated) events.push({ kind: 'error', error: 'header-length', text });
    this.#truncated = false;
    if (!this.#options.disabled) this.#learn(text, events);
    if (this.#options.report.eightBitHeader && EIGHT_BIT.test(text)) {
      events.push({ kind: 'error', error: 'eight-bit-header', text });
    }
    events.push({ kind: 'header', of, text });
  }

  #endHeaders(events: MimeEvent[]): void {
    if (this.#state === 'primary') events.push({ kind: 'headers-end' });
    const composite = this.#type === 'multipart' || this.#type.startsWith('message');
    if (this.#options.report.encodingDomain && !this.#options.disabled) {
      this.#checkDomain(composite, events);
    }
    const nested = this.#type === 'message-rfc822' && !this.#options.disabled;
    this.#enter(nested ? 'nested' : 'body', nested ? 'text' : this.#type, nested);
  }

  #checkDomain(composite: boolean, events: MimeEvent[]): void {
    if (composite && (this.#encoding === 'base64' || this.#encoding === 'quoted-printable')) {
      events.push({ kind: 'error', error: 'encoding-domain', text: this.#encoding });
    }
  }

  #isEightBit(): boolean {
    return this.#encoding === '8bit' || this.#encoding === 'binary';
  }

  #enter(state: HeaderClass | 'body', type: ContentType, resetEncoding: boolean): void {
    this.#state = state;
    this.#type = type;
    if (resetEncoding) this.#encoding = '7bit';
  }

  #bodyLine(text: string, continued: boolean, startsLine: boolean, events: MimeEvent[]): void {
    if (startsLine && this.#boundaries.length > 0 && text.length > 2 && text.startsWith('--')) {
      this.#boundaryLine(text);
    }
    const check = this.#options.report.eightBitBody && this.#state === 'body';
    if (check && !this.#isEightBit() && EIGHT_BIT.test(text)) {
      events.push({ kind: 'error', error: 'eight-bit-body', text });
    }
    events.push({ kind: 'body', text, continued });
  }

  #boundaryLine(text: string): void {
    for (let depth = this.#boundaries.length - 1; depth >= 0; depth -= 1) {
      const boundary = this.#boundaries[depth] as Boundary;
      if (!text.startsWith(boundary.text, 2)) continue;
      const closes = text.startsWith('--', 2 + boundary.text.length);
      this.#boundaries.length = closes ? depth : depth + 1;
      this.#enter(closes ? 'body' : 'part', closes ? 'other' : boundary.defaultType, true);
      return;
    }
  }

  /** What a header says about the structure to come. */
  #learn(text: string, events: MimeEvent[]): void {
    const code = text.charCodeAt(0) | 0x20;
    if (code !== 0x63) return; // not C...
    const name = text.slice(0, headerNameLength(text)).toLowerCase();
    const start = text.indexOf(':') + 1;
    if (name === 'content-type') this.#learnType(text, start, events);
    else if (name === 'content-transfer-encoding') this.#learnEncoding(text, start);
  }

  #learnEncoding(text: string, start: number): void {
    const [word] = readWords(text, start, '', 1).words;
    if (word?.kind !== 'token') return;
    const encoding = ENCODINGS.get(word.text.toLowerCase());
    if (encoding !== undefined) this.#encoding = encoding;
  }

  #learnType(text: string, start: number, events: MimeEvent[]): void {
    const found = readWords(text, start, ';', 3);
    const [main, slash, sub] = found.words;
    if (main === undefined) {
      this.#type = 'other';
      return;
    }
    const subtype = slash?.text === '/' && sub?.kind === 'token' ? sub.text.toLowerCase() : '';
    switch (main.kind === 'token' ? main.text.toLowerCase() : '') {
      case 'text':
        this.#type = 'text';
        break;
      case 'message':
        this.#type = WHOLE_MESSAGES.has(subtype) ? 'message-rfc822' : 'message';
        break;
      case 'multipart':
        this.#type = 'multipart';
        this.#learnBoundaries(text, found.next, subtype, events);
        break;
      default:
        this.#type = 'other';
    }
  }

  /** Every boundary parameter counts: two of them are one way to hide a part from us. */
  #learnBoundaries(text: string, start: number, subtype: string, events: MimeEvent[]): void {
    const defaultType = subtype === 'digest' ? 'message-rfc822' : 'text';
    for (let at = start; at < text.length; ) {
      const { words, next } = readWords(text, at, ';', 3);
      at = next;
      const value = boundaryValue(words);
      if (value === undefined) continue;
      if (this.#boundaries.length - 1 > this.#options.nestingLimit) {
        if (this.#options.report.nesting) events.push({ kind: 'error', error: 'nesting', text });
        return;
      }
      this.#boundaries.push({ text: value.slice(0, this.#options.boundaryLimit), defaultType });
    }
  }
}

function boundaryValue(words: readonly HeaderWord[]): string | undefined {
  const [name, equals, value] = words;
  if (name?.text.toLowerCase() !== 'boundary' || equals?.text !== '=') return undefined;
  return value?.text;
}

/** Blanks between a header's name and the colon are not kept: not everybody would take it for one. */
function withoutBlanks(header: string): string {
  const colon = header.indexOf(':');
  const before = header.charCodeAt(colon - 1);
  if (before !== 0x20 && before !== 0x09) return header;
  return header.slice(0, headerNameLength(header)) + header.slice(colon);
}
