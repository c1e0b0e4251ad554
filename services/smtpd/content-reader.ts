/**
 * What a client sends between DATA and the lone dot, or in the chunks of BDAT, as records for
 * cleanup. Bytes in, records out, no I/O: the hottest loop of smtpd.
 *
 * A line becomes one `N` record, without its line end and without the dot that hid another dot
 * (RFC 5321 4.5.2); a line longer than `line_length_limit` becomes `L` records and an `N`.
 */

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const SPACE = 0x20;
const TAB = 0x09;
const TYPE_LINE = 0x4e; // N: a line of text, its end implied
const TYPE_PART = 0x4c; // L: the line goes on in the next record
/** A record length has seven bits a byte; no record of ours needs a third. */
const TWO_LENGTH_BYTES = 0x80;
const LENGTH_MAX = 0x3fff;

/** How bare line feeds are taken: smtpd_forbid_bare_newline, for this client. */
export type NewlineRule =
  /** They end a line, and a lone dot between them ends the message. */
  | 'accept'
  /** They end a line, but only CR LF . CR LF ends the message: no second message hides inside. */
  | 'normalize'
  /** As normalize, and the message is refused at its end. */
  | 'reject';

export interface ContentRules {
  readonly newlines: NewlineRule;
  /** `line_length_limit`. */
  readonly lineBytesMax: number;
  /** Content after so many bytes is read and dropped; 0 is no limit. */
  readonly sizeMax: number;
  /** What ends it: a lone dot, which other dots hide from; or a count that others keep. */
  readonly framing: 'dot' | 'chunks';
}

/** What takes content apart, and knows where it ends. */
export interface ContentInput {
  push(chunk: Buffer): ContentPiece;
}

/** What one piece of input came to. */
export interface ContentPiece {
  readonly records: Buffer;
  readonly ended: boolean;
  /** The client's next commands. */
  readonly rest: Buffer;
}

const NOTHING = Buffer.alloc(0);

export class ContentReader implements ContentInput {
  readonly #rules: ContentRules;
  readonly #hasDots: boolean;
  /** The end of a line is CR LF: another CR before it is content. */
  readonly #isStrict: boolean;
  #carry: Buffer = NOTHING;
  /** The line at hand has already filled an `L` record. */
  #inLongLine = false;
  /** The line before ended in CR LF. DATA itself counts as one. */
  #afterReturn = true;
  #first: boolean;
  #size = 0;
  #bare = false;

  constructor(rules: ContentRules) {
    this.#rules = { ...rules, lineBytesMax: Math.min(rules.lineBytesMax, LENGTH_MAX) };
    this.#hasDots = rules.framing === 'dot';
    this.#isStrict = rules.newlines !== 'accept';
    // Postfix leaves the first line of a chunk as it is.
    this.#first = this.#hasDots;
  }

  /** Bytes of content so far, with two for the end of each record, as Postfix counts. */
  get sizeBytes(): number {
    return this.#size;
  }

  /** The same, and those of a line without an end. */
  get receivedBytes(): number {
    return this.#size + this.#carry.length;
  }

  /** The content has outgrown the limit. */
  get isTooBig(): boolean {
    return this.#rules.sizeMax > 0 && this.#size > this.#rules.sizeMax;
  }

  /** A line ended without CR where that is refused. */
  get hasBareLineFeed(): boolean {
    return this.#bare && this.#rules.newlines === 'reject';
  }

  /** Takes the next piece of input, however it was cut. */
  push(chunk: Buffer): ContentPiece {
    const input = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    // An empty line of one byte becomes a record of two; every other line shrinks or grows less.
    const output = Buffer.allocUnsafe(input.length * 2 + 64);
    const { lineBytesMax } = this.#rules;
    let out = 0;
    let start = 0;
    for (;;) {
      const lineFeed = input.indexOf(LF, start);
      const limit = lineFeed === -1 ? input.length : lineFeed;
      // One more than the limit, since a CR at its end may belong to the line's end.
      while (limit - start > lineBytesMax) {
        out = this.#writePart(output, out, input, start, start + lineBytesMax);
        start += lineBytesMax;
      }
      if (lineFeed === -1) break;
      let end = lineFeed;
      const hasReturn = end > start && input[end - 1] === CR;
      if (hasReturn) end = this.#isStrict ? end - 1 : withoutReturns(input, start, end);
      if (!hasReturn) this.#bare = true;
      const next = lineFeed + 1;
      if (this.#isLoneDot(input, start, end)) {
        if (this.#endsHere(hasReturn)) {
          this.#carry = NOTHING;
          return { records: output.subarray(0, out), ended: true, rest: input.subarray(next) };
        }
      } else {
        out = this.#writeLine(output, out, input, start, end);
      }
      this.#afterReturn = hasReturn;
      this.#inLongLine = false;
      start = next;
    }
    this.#carry = start < input.length ? Buffer.from(input.subarray(start)) : NOTHING;
    return { records: output.subarray(0, out), ended: false, rest: NOTHING };
  }

  /** No more will come: what is left is a line without an end. */
  finish(): Buffer {
    const line = this.#carry;
    const output = Buffer.allocUnsafe(line.length * 2 + 64);
    this.#carry = NOTHING;
    if (line.length === 0) return NOTHING;
    const { lineBytesMax } = this.#rules;
    const write = line.length < lineBytesMax ? this.#writeLine : this.#writePart;
    return output.subarray(0, write.call(this, output, 0, line, 0, line.length));
  }

  #isLoneDot(input: Buffer, start: number, end: number): boolean {
    return end - start === 1 && input[start] === DOT && this.#hasDots && !this.#inLongLine;
  }

  /** A lone dot that does not end the message is dropped. */
  #endsHere(hasReturn: boolean): boolean {
    return this.#rules.newlines === 'accept' || (hasReturn && this.#afterReturn);
  }

  #writeLine(output: Buffer, at: number, input: Buffer, start: number, end: number): number {
    const from = this.#unstuffed(input, start, end);
    this.#size += end - from + 2;
    if (this.isTooBig) return at;
    if (this.#first) return this.#writeFirst(output, at, input.subarray(from, end));
    return writeRecord(output, at, TYPE_LINE, input, from, end);
  }

  #writePart(output: Buffer, at: number, input: Buffer, start: number, end: number): number {
    const from = this.#unstuffed(input, start, end);
    this.#inLongLine = true;
    this.#first = false;
    this.#size += end - from + 2;
    return this.isTooBig ? at : writeRecord(output, at, TYPE_PART, input, from, end);
  }

  #unstuffed(input: Buffer, start: number, end: number): number {
    if (input[start] !== DOT || end === start || !this.#hasDots) return start;
    return this.#inLongLine ? start : start + 1;
  }

  /**
   * The first line is special: an mbox separator is no header, and becomes one; a line that
   * starts with white space would continue the Received header that we put before it.
   */
  #writeFirst(output: Buffer, at: number, line: Buffer): number {
    this.#first = false;
    const isSeparator = startsWith(line, 'From ') || startsWith(line, '>From ');
    const text = isSeparator ? Buffer.concat([Buffer.from('X-Mailbox-Line: '), line]) : line;
    const isSpace = line[0] === SPACE || line[0] === TAB;
    const out = isSpace ? writeRecord(output, at, TYPE_LINE, text, 0, 0) : at;
    return writeRecord(output, out, TYPE_LINE, text, 0, text.length);
  }
}

/** @returns the end of a line without all the CRs there */
function withoutReturns(input: Buffer, start: number, lineEnd: number): number {
  let end = lineEnd;
  while (end > start && input[end - 1] === CR) end -= 1;
  return end;
}

function startsWith(line: Buffer, text: string): boolean {
  return line.length >= text.length && line.toString('latin1', 0, text.length) === text;
}

function writeRecord(
  output: Buffer,
  at: number,
  type: number,
  input: Buffer,
  start: number,
  end: number,
): number {
  const length = end - start;
  let out = at;
  output[out++] = type;
  if (length < TWO_LENGTH_BYTES) {
    output[out++] = length;
  } else {
    output[out++] = (length & 0x7f) | 0x80;
    output[out++] = length >> 7;
  }
  input.copy(output, out, start, end);
  return out + length;
}
