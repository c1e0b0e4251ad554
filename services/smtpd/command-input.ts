/** What a client has sent, as lines. Bytes in, lines out; no I/O. */
import { isUtf8 } from 'node:buffer';

const CR = 0x0d;
const LF = 0x0a;
/** Of a line that is too long, so many times the limit is read and dropped. */
const ENDLESS_FACTOR = 10;
const NOTHING = Buffer.alloc(0);
const NOT_ASCII = /[^\x00-\x7f]/;

/** One command line. */
export interface Line {
  /** Without the line end, and without what follows a NUL. UTF-8 is decoded. */
  readonly text: string;
  /** It is UTF-8; else each character of `text` is one byte. */
  readonly isUtf8: boolean;
  /** It ended in LF alone. */
  readonly isBare: boolean;
  /** It was longer than the limit: this is its beginning. */
  readonly isCut: boolean;
}

export class CommandInput {
  /** A line has fewer bytes, without its end. */
  limit: number;
  #bytes: Buffer = NOTHING;
  #start = 0;
  /** The beginning of a line that is too long; the rest is being dropped. */
  #cut: Buffer | undefined;
  #dropped = 0;

  /** @param limit a line has fewer bytes, without its end: `line_length_limit` */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** What follows the lines that were taken. */
  get pending(): Buffer {
    return this.#bytes.subarray(this.#start);
  }

  get hasPending(): boolean {
    return this.#start < this.#bytes.length;
  }

  /** The line at hand is so long that there is no use in waiting for its end. */
  get isEndless(): boolean {
    return this.#dropped > ENDLESS_FACTOR * this.limit;
  }

  push(chunk: Buffer): void {
    this.#bytes = this.hasPending ? Buffer.concat([this.pending, chunk]) : chunk;
    this.#start = 0;
  }

  /** Hands out everything that is pending: it is not commands. */
  takeAll(): Buffer {
    const all = this.pending;
    this.#bytes = NOTHING;
    this.#start = 0;
    return all;
  }

  /** The next line; `undefined` when its end has not come yet. */
  next(): Line | undefined {
    const bytes = this.#bytes;
    const start = this.#start;
    const lineFeed = bytes.indexOf(LF, start);
    if (lineFeed === -1) {
      this.#dropExcess();
      return undefined;
    }
    this.#start = lineFeed + 1;
    const isBare = lineFeed === start || bytes[lineFeed - 1] !== CR;
    if (this.#cut !== undefined) {
      const beginning = this.#cut;
      this.#cut = undefined;
      this.#dropped = 0;
      return lineOf(beginning, 0, beginning.length, isBare, true);
    }
    let end = isBare ? lineFeed : lineFeed - 1;
    if (end - start >= this.limit) {
      return lineOf(bytes, start, start + this.limit, isBare, true);
    }
    while (end > start && bytes[end - 1] === CR) end -= 1;
    return lineOf(bytes, start, end, isBare, false);
  }

  /** Keeps no more of a line than there is use for; its last byte may be half of its end. */
  #dropExcess(): void {
    const { length } = this.#bytes;
    if (length - this.#start <= this.limit) return;
    this.#cut ??= Buffer.from(this.#bytes.subarray(this.#start, this.#start + this.limit));
    this.#dropped += length - 1 - this.#start;
    this.#bytes = this.#bytes.subarray(length - 1);
    this.#start = 0;
  }
}

function lineOf(bytes: Buffer, start: number, end: number, isBare: boolean, isCut: boolean): Line {
  const whole = bytes.toString('latin1', start, end);
  const isAscii = !NOT_ASCII.test(whole);
  const isText = isAscii || isUtf8(bytes.subarray(start, end));
  const text = isAscii || !isText ? whole : bytes.toString('utf8', start, end);
  const nul = text.indexOf('\0');
  return { text: nul === -1 ? text : text.slice(0, nul), isUtf8: isText, isBare, isCut };
}
