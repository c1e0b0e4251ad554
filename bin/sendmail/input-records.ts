/**
 * What sendmail reads from its standard input, as records: lines, those that are too long in pieces.
 * With -t, recipients are taken from headers on the way. Bytes in, records out; no I/O.
 */
import { addressTokens, internalText, parse } from '../../lib/address/token.ts';
import { knownHeader, parseHeader, unfold } from '../../lib/message/header.ts';
import { type MimeEvent, MimeParser } from '../../lib/message/mime.ts';
import { RECORD } from '../../lib/queue/record.ts';
import type { RecordWriter } from '../../lib/queue/record-writer.ts';

const LF = 0x0a;
const CR = 0x0d;
const DOT = 0x2e;
const EMPTY = Buffer.alloc(0);
/** How mbox files begin a message; UUCP puts `>` in front. */
const FROM_LINE = /^>*From /;
/** What is left of a line that begins with it is looked at, no more. */
const FROM_LINE_LOOK = 200;

export interface InputOptions {
  /** A lone dot ends the input. */
  readonly dotEnds: boolean;
  /** sendmail_fix_line_endings */
  readonly lineEndings: 'always' | 'strict' | 'never';
  /** line_length_limit */
  readonly lineLimit: number;
  /** header_size_limit, for -t. */
  readonly headerLimit: number;
  /** -t */
  readonly extractRecipients: boolean;
}

export class InputRecords {
  readonly #output: RecordWriter;
  readonly #options: InputOptions;
  readonly #headers: MimeParser | undefined;
  readonly #recipients: string[] = [];
  readonly #resent: string[] = [];
  #anyResent = false;
  #rest: Buffer = EMPTY;
  /** The line before has not ended. */
  #open = false;
  #skipsFrom = true;
  #stripsCr: boolean | undefined;
  #ended = false;

  constructor(output: RecordWriter, options: InputOptions) {
    this.#output = output;
    this.#options = options;
    this.#stripsCr =
      options.lineEndings === 'always' ? true : options.lineEndings === 'never' ? false : undefined;
    if (options.extractRecipients) {
      this.#headers = new MimeParser({
        disabled: true,
        nestingLimit: 0,
        boundaryLimit: 0,
        headerLimit: options.headerLimit,
        report: {
          nesting: false,
          eightBitHeader: false,
          eightBitBody: false,
          encodingDomain: false,
        },
      });
    }
  }

  /** What -t found, internal form: Resent- headers count alone when there are any. */
  get recipients(): readonly string[] {
    return this.#anyResent ? this.#resent : this.#recipients;
  }

  /** @returns false when the input has come to its end by itself: a lone dot */
  take(chunk: Buffer): boolean {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const { lineLimit } = this.#options;
    let start = 0;
    while (!this.#ended) {
      const newline = bytes.indexOf(LF, start);
      const end = newline < 0 ? bytes.length : newline;
      // A full piece leaves only when it is known that its line goes on, or ends right there.
      if (end - start >= lineLimit) {
        this.#piece(bytes, start, start + lineLimit, true);
        start += lineLimit;
      } else if (newline >= 0) {
        this.#piece(bytes, start, newline, false);
        start = newline + 1;
      } else {
        break;
      }
    }
    this.#rest = Buffer.from(bytes.subarray(start));
    return !this.#ended;
  }

  /** The input is over. */
  end(): void {
    if (!this.#ended && this.#rest.length > 0) this.#piece(this.#rest, 0, this.#rest.length, true);
    if (this.#headers === undefined) return;
    const openBody = this.#open && !this.#ended && !this.#headers.inPrimaryHeaders;
    for (const event of this.#headers.end()) this.#take(event);
    if (openBody) this.#text('', false);
  }

  #piece(bytes: Buffer, start: number, lineEnd: number, continued: boolean): void {
    let end = lineEnd;
    if (!continued) {
      this.#stripsCr ??= bytes[end - 1] === CR;
      if (this.#skipsFrom && isFromLine(bytes, start, end)) return;
    }
    this.#skipsFrom = false;
    if (!continued && this.#stripsCr) while (end > start && bytes[end - 1] === CR) end -= 1;
    const wasOpen = this.#open;
    this.#open = continued;
    if (this.#options.dotEnds && !wasOpen && end - start === 1 && bytes[start] === DOT) {
      this.#ended = true;
      return;
    }
    if (this.#headers?.inPrimaryHeaders) {
      const text = bytes.toString('latin1', start, end);
      for (const event of this.#headers.line(text, continued)) this.#take(event);
    } else {
      this.#output.slice(continued ? RECORD.longText : RECORD.text, bytes, start, end);
    }
  }

  #take(event: MimeEvent): void {
    if (event.kind === 'header') this.#header(event.text);
    else if (event.kind === 'body') this.#text(event.text, event.continued);
  }

  #header(text: string): void {
    const header = parseHeader(text);
    const known = header && knownHeader(header.name);
    if (header !== undefined && known?.extract) {
      const into = known.resent ? this.#resent : this.#recipients;
      this.#anyResent ||= known.resent;
      const list = Buffer.from(unfold(header.value), 'latin1').toString();
      for (const address of addressTokens(parse(list))) into.push(internalText(address.head));
    }
    for (const line of text.split('\n')) this.#text(line, false);
  }

  #text(text: string, continued: boolean): void {
    const { lineLimit } = this.#options;
    const bytes = Buffer.from(text, 'latin1');
    let start = 0;
    for (; bytes.length - start > lineLimit; start += lineLimit) {
      this.#output.slice(RECORD.longText, bytes, start, start + lineLimit);
    }
    this.#output.slice(continued ? RECORD.longText : RECORD.text, bytes, start, bytes.length);
  }
}

function isFromLine(bytes: Buffer, start: number, end: number): boolean {
  return FROM_LINE.test(bytes.toString('latin1', start, Math.min(end, start + FROM_LINE_LOOK)));
}
