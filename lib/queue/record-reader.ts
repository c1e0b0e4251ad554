/** Reads the records of a queue file in their logical order: pointers are followed. */
import { read, readSync } from 'node:fs';
import { QueueFileError } from './queue-file-error.ts';
import { LENGTH_BITS_MAX, RECORD_BYTES_MAX } from './record.ts';

/** A small message is one read. */
export const WINDOW_BYTES = 64 * 1024;
/** A file whose pointers go back more often than this is a loop. */
const JUMPS_BACK_MAX = 10_000;
const POINTER = 'p'.charCodeAt(0);
const POINTER_DIGITS_MAX = 20;

/** Where records come from: an open file, of which a part may be in memory. */
export interface RecordSource {
  readonly fd: number;
  readonly path: string;
  readonly sizeBytes: number;
  /** All of it, when it is in memory already: what came by a pipe. */
  readonly bytes?: Buffer;
}

/** What `step` found: a record, the physical end of the file, or that `fill` has to read on. */
export type ReaderStep = 'record' | 'end' | 'fill';

export interface ReaderOptions {
  /** Report pointer records instead of following them. */
  readonly raw?: boolean;
  /** Memory to read into, for one who is done with it before anybody else may want it. */
  readonly scratch?: Buffer;
}

/**
 * A place in a queue file. The current record lies in `bytes` from `start` to `end`, valid until the
 * reader moves on.
 */
export class RecordReader {
  /** The type letter of the current record. */
  type = '';
  /** Where in the file the current record lies. */
  offset = 0;
  bytes: Buffer = EMPTY;
  start = 0;
  end = 0;

  readonly #source: RecordSource;
  readonly #raw: boolean;
  readonly #scratch: Buffer | undefined;
  /** Where in the file `bytes` begins. */
  #base = 0;
  /** Where in the file the next record begins. */
  #next: number;
  #needed = 0;
  #jumpsBack = 0;

  constructor(source: RecordSource, offset = 0, options: ReaderOptions = {}) {
    this.#source = source;
    if (source.bytes !== undefined) this.bytes = source.bytes;
    this.#next = offset;
    this.#raw = options.raw === true;
    this.#scratch = options.scratch;
  }

  /** Where in the file the next record begins. */
  get position(): number {
    return this.#next;
  }

  /** Goes on reading somewhere else. */
  seek(offset: number): void {
    this.#next = offset;
  }

  /** Moves on to the next record; false at the physical end of the file. @throws {QueueFileError} */
  next(): boolean {
    for (;;) {
      const step = this.step();
      if (step !== 'fill') return step === 'record';
      this.fillSync();
    }
  }

  /** As `next`, for a caller that can wait: reads nothing, and says when it must. */
  step(): ReaderStep {
    for (;;) {
      const found = this.#find();
      if (found !== 'record' || this.#raw || this.bytes[this.offset - this.#base] !== POINTER) {
        return found;
      }
      this.#jump();
    }
  }

  /** Reads what `step` asked for. */
  fillSync(): void {
    const window = this.#window();
    this.#filled(window, readFully(this.#source.fd, window, this.#next));
  }

  /** Reads what `step` asked for, while others go on. */
  async fill(): Promise<void> {
    const window = this.#window();
    let filled = 0;
    while (filled < window.length) {
      const bytes = await readSome(this.#source.fd, window, filled, this.#next + filled);
      if (bytes === 0) break;
      filled += bytes;
    }
    this.#filled(window, filled);
  }

  /** The current record's data; a view. */
  data(): Buffer {
    return this.bytes.subarray(this.start, this.end);
  }

  /** The current record's data as text. What follows a NUL does not count (queue.md 3.1). */
  text(): string {
    const text = this.bytes.toString('utf8', this.start, this.end);
    const nul = text.indexOf('\0');
    return nul < 0 ? text : text.slice(0, nul);
  }

  /** For a caller that finds the current record wrong. */
  damaged(what: string): QueueFileError {
    return new QueueFileError(this.#source.path, this.offset, what);
  }

  #find(): ReaderStep {
    const offset = this.#next;
    const index = offset - this.#base;
    const { bytes } = this;
    if (offset < 0) return this.#fail(offset, 'no such place');
    if (index < 0 || index >= bytes.length) return this.#missing(offset, 1);
    let at = index + 1;
    let length = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      if (shift === LENGTH_BITS_MAX) return this.#fail(offset, 'record length too long');
      const byte = bytes[at];
      if (byte === undefined) return this.#missing(offset, at + 1 - index);
      at += 1;
      length |= (byte & 0x7f) << shift;
      more = byte >= 0x80;
    }
    if (length > RECORD_BYTES_MAX) return this.#fail(offset, `record of ${length} bytes`);
    if (at + length > bytes.length) return this.#missing(offset, at + length - index);
    this.type = String.fromCharCode(bytes[index] as number);
    this.offset = offset;
    this.start = at;
    this.end = at + length;
    this.#next = this.#base + this.end;
    return 'record';
  }

  #missing(offset: number, needed: number): ReaderStep {
    const { sizeBytes } = this.#source;
    if (offset >= sizeBytes) return 'end';
    if (offset + needed > sizeBytes) return this.#fail(offset, 'record truncated');
    this.#needed = needed;
    return 'fill';
  }

  #jump(): void {
    const target = decimal(this.bytes, this.start, this.end);
    if (target === undefined) throw this.damaged('malformed pointer');
    if (target === 0) return;
    if (target >= this.#source.sizeBytes) throw this.damaged(`pointer to ${target}, past the end`);
    if (target <= this.offset) {
      this.#jumpsBack += 1;
      if (this.#jumpsBack > JUMPS_BACK_MAX) throw this.damaged('pointers go round in a loop');
    }
    this.#next = target;
  }

  #window(): Buffer {
    const rest = this.#source.sizeBytes - this.#next;
    const bytes = Math.min(rest, Math.max(this.#needed, WINDOW_BYTES));
    const scratch = this.#scratch;
    if (scratch !== undefined && scratch.length >= bytes) return scratch.subarray(0, bytes);
    return Buffer.allocUnsafe(bytes);
  }

  #filled(window: Buffer, filled: number): void {
    if (filled < this.#needed) this.#fail(this.#next, 'file shrank while it was read');
    this.bytes = filled === window.length ? window : window.subarray(0, filled);
    this.#base = this.#next;
  }

  #fail(offset: number, what: string): never {
    throw new QueueFileError(this.#source.path, offset, what);
  }
}

const EMPTY = Buffer.alloc(0);

/** The number in a record that carries one, blanks around it; undefined when it is none. */
export function decimal(bytes: Buffer, start: number, end: number): number | undefined {
  let at = start;
  while (at < end && bytes[at] === 0x20) at += 1;
  if (at === end || end - at > POINTER_DIGITS_MAX) return undefined;
  let value = 0;
  for (; at < end; at += 1) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : undefined;
}

function readFully(fd: number, window: Buffer, position: number): number {
  let filled = 0;
  while (filled < window.length) {
    const bytes = readSync(fd, window, filled, window.length - filled, position + filled);
    if (bytes === 0) break;
    filled += bytes;
  }
  return filled;
}

function readSome(fd: number, window: Buffer, filled: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, window, filled, window.length - filled, position, (error, bytes) =>
      error === null ? resolve(bytes) : reject(error),
    );
  });
}
