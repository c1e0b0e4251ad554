/** Prints a queue file in parts: envelope, header, body. */
import { isContent } from '../../lib/queue/envelope-scan.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { RecordReader, type RecordSource } from '../../lib/queue/record-reader.ts';
import { parseSize } from '../../lib/queue/size-record.ts';
import { envelopeLine } from './record-text.ts';

export interface PrintOptions {
  readonly envelope: boolean;
  readonly header: boolean;
  readonly body: boolean;
  /** -o: each record's offset. */
  readonly offsets: boolean;
  /** -d: its type as a number. */
  readonly types: boolean;
  /** -v: what kind of text it is, pointers, and padding. */
  readonly verbose: boolean;
  /** -r: as the records lie in the file. */
  readonly raw: boolean;
  /** -s: where to begin. */
  readonly start: number;
}

/** First bytes that begin a queue file. */
const FIRST_TYPES = 'MCTcFILSDRO/WVAp><ion';
/** Output leaves in pieces of this size. */
const PIECE_BYTES = 64 * 1024;

type Part = 'envelope' | 'header' | 'body';

/** Whether a file may be a queue file at all. */
export function isQueueFile(source: RecordSource, start: number): boolean {
  const reader = new RecordReader(source, start, { raw: true });
  return source.sizeBytes <= start || (reader.next() && FIRST_TYPES.includes(reader.type));
}

/**
 * The text of a queue file, piece by piece.
 *
 * @param warn told what is odd, but does not stop us
 * @throws {QueueFileError} when it can't be read on
 */
export function* printFile(
  source: RecordSource,
  options: PrintOptions,
  warn: (text: string) => void,
): Generator<Buffer, void, undefined> {
  const printer = new Printer(source, options, warn);
  try {
    while (printer.step()) if (printer.bytes >= PIECE_BYTES) yield printer.take();
  } finally {
    if (printer.bytes > 0) yield printer.take();
  }
}

class Printer {
  bytes = 0;
  #pieces: Buffer[] = [];
  readonly #source: RecordSource;
  readonly #options: PrintOptions;
  readonly #warn: (text: string) => void;
  readonly #reader: RecordReader;
  #part: Part = 'envelope';
  /** The last text record ended without a line end. */
  #midLine = false;
  /** So did what we printed of it. */
  #openLine = false;
  /** Where the content ends, as the size record says. */
  #contentEnd = 0;

  constructor(source: RecordSource, options: PrintOptions, warn: (text: string) => void) {
    this.#source = source;
    this.#options = options;
    this.#warn = warn;
    // -r alone changes nothing, as in Postfix: pointers show with -v only.
    this.#reader = new RecordReader(source, options.start, { raw: options.verbose });
    if (options.start === 0 && options.envelope) {
      this.#put(Buffer.from(`*** ENVELOPE RECORDS ${source.path} ***\n`));
    }
  }

  take(): Buffer {
    const bytes = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.bytes = 0;
    return bytes;
  }

  /** Prints the next record. @returns false at the end */
  step(): boolean {
    const reader = this.#reader;
    // Where the reader stood: with a pointer there, that is what the offset shows.
    const offset = reader.position;
    if (!this.#next()) return false;
    const { type } = reader;
    switch (type) {
      case RECORD.message:
        this.#enterContent(offset);
        return true;
      case RECORD.extracted:
        this.#leaveContent(offset);
        return true;
      case RECORD.end:
        if (this.#part !== 'envelope') this.#odd('message end');
        this.#marker('MESSAGE FILE END', offset);
        return this.#options.raw && this.#options.verbose;
      case RECORD.pointer:
        if (this.#isWanted()) this.#record(offset);
        return this.#options.raw || this.#follow();
      default:
        if (type === RECORD.size && this.#contentEnd === 0) this.#noteSize();
        if (this.#part === 'header') this.#checkHeader();
        if (this.#isWanted()) this.#record(offset);
        return true;
    }
  }

  #next(): boolean {
    const reader = this.#reader;
    do {
      if (!reader.next()) return false;
    } while (!this.#options.verbose && reader.type === RECORD.padding);
    return true;
  }

  /** With -v the pointer is shown, and then followed. */
  #follow(): boolean {
    const target = Number(this.#reader.text());
    if (!Number.isSafeInteger(target)) throw this.#reader.damaged('malformed pointer');
    if (target <= 0) return true;
    if (target >= this.#source.sizeBytes) throw this.#reader.damaged('pointer past the end');
    this.#jumps += target < this.#reader.offset ? 1 : 0;
    if (this.#jumps > JUMPS_BACK_MAX) throw this.#reader.damaged('pointers go round in a loop');
    this.#reader.seek(target);
    return true;
  }

  #jumps = 0;

  #noteSize(): void {
    const size = parseSize(this.#reader.text());
    if (typeof size !== 'string') this.#contentEnd = size.contentOffset + size.storedBytes;
  }

  #enterContent(offset: number): void {
    const { header, body } = this.#options;
    if (this.#part !== 'envelope') this.#odd('message content');
    this.#marker('MESSAGE CONTENTS', offset);
    this.#part = 'header';
    this.#midLine = false;
    // Nobody wants to see it, and the size record says where it ends.
    if (!header && !body && this.#contentEnd > 0) this.#reader.seek(this.#contentEnd);
  }

  #leaveContent(offset: number): void {
    if (this.#part === 'envelope') this.#odd('extracted segment');
    this.#marker('HEADER EXTRACTED', offset);
    this.#part = 'envelope';
  }

  /** The header ends at an empty line, or at what is no header. */
  #checkHeader(): void {
    const reader = this.#reader;
    if (reader.type !== RECORD.text && reader.type !== RECORD.longText) return;
    const begins = !this.#midLine;
    this.#midLine = reader.type === RECORD.longText;
    if (!begins || isHeaderLine(reader.data())) return;
    this.#part = 'body';
  }

  #isWanted(): boolean {
    const { envelope, header, body } = this.#options;
    if (this.#part === 'envelope') return envelope;
    return this.#part === 'header' ? header : body;
  }

  #record(offset: number): void {
    const { type } = this.#reader;
    const { verbose, offsets } = this.#options;
    const data = this.#reader.data();
    const isText = type === RECORD.text || (type === RECORD.longText && this.#part !== 'envelope');
    this.#prefix(offset, type);
    if (!isText || !isContent(type)) {
      this.#put(envelopeLine(type, data));
      return;
    }
    const isLine = type === RECORD.text;
    if (verbose) this.#put(isLine ? REGULAR : UNTERMINATED);
    this.#put(Buffer.from(data));
    this.#openLine = !isLine && !verbose && !offsets;
    if (!this.#openLine) this.#put(LINE_END);
  }

  #marker(text: string, offset: number): void {
    if (!this.#options.envelope) return;
    if (this.#openLine) this.#put(LINE_END);
    this.#openLine = false;
    this.#prefix(offset, this.#reader.type);
    this.#put(Buffer.from(`*** ${text} ${this.#source.path} ***\n`));
  }

  #prefix(offset: number, type: string): void {
    const { offsets, types } = this.#options;
    const place = offsets ? `${String(offset).padStart(9)} ` : '';
    const number = types ? `${String(type.charCodeAt(0)).padStart(3)} ` : '';
    if (offsets || types) this.#put(Buffer.from(place + number));
  }

  #odd(what: string): void {
    this.#warn(`${this.#source.path}: out-of-order ${what} marker`);
  }

  #put(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.bytes += bytes.length;
  }
}

const REGULAR = Buffer.from('regular_text: ');
const UNTERMINATED = Buffer.from('unterminated_text: ');
const LINE_END = Buffer.from('\n');
const JUMPS_BACK_MAX = 10_000;

/** A header's first line, or a continuation. */
function isHeaderLine(line: Buffer): boolean {
  const first = line[0];
  if (first === undefined) return false;
  if (first === 0x20 || first === 0x09) return true;
  return /^[!-9;-~]+[ \t]*:/.test(line.toString('latin1', 0, 1000));
}
