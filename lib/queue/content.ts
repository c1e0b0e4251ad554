/** The content of a message as text: records turned back into lines. */
import { RECORD } from './record.ts';
import { RecordReader, type RecordSource } from './record-reader.ts';

export interface ContentOptions {
  /** Offset of the first content record. Found by reading the envelope when it is not given. */
  readonly from?: number;
  /** What a line ends with. */
  readonly lineEnd?: '\n' | '\r\n';
}

/** Text leaves in pieces of about this size. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Reads the content in chunks. A chunk ends where a record ends: mostly at the end of a line, within
 * a line only when that is longer than a record.
 *
 * @throws {QueueFileError} when the file is damaged: unreadable mail queue entry
 */
export async function* readContent(
  source: RecordSource,
  options: ContentOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const reader = startOfContent(source, options.from);
  const text = new ContentText(source, options.lineEnd);
  for (;;) {
    const step = reader.step();
    if (step === 'fill') await reader.fill();
    else if (step === 'end') throw reader.damaged('missing end record');
    else if (reader.type === RECORD.extracted) break;
    else if (text.add(reader)) yield text.take();
  }
  if (!text.isEmpty) yield text.take();
}

/** As readContent, without letting others go on meanwhile. */
export function* readContentSync(
  source: RecordSource,
  options: ContentOptions = {},
): Generator<Buffer, void, undefined> {
  const reader = startOfContent(source, options.from);
  const text = new ContentText(source, options.lineEnd);
  for (;;) {
    if (!reader.next()) throw reader.damaged('missing end record');
    if (reader.type === RECORD.extracted) break;
    if (text.add(reader)) yield text.take();
  }
  if (!text.isEmpty) yield text.take();
}

function startOfContent(source: RecordSource, from: number | undefined): RecordReader {
  const reader = new RecordReader(source, from ?? 0);
  if (from !== undefined) return reader;
  while (reader.next()) {
    if (reader.type === RECORD.message) return reader;
    if (reader.type === RECORD.end) break;
  }
  throw reader.damaged('missing content');
}

/** Collects the text of content records. */
class ContentText {
  readonly #lineEnd: Uint8Array;
  readonly #chunkBytes: number;
  #chunk: Buffer | undefined;
  #length = 0;

  constructor(source: RecordSource, lineEnd: '\n' | '\r\n' = '\n') {
    this.#lineEnd = Buffer.from(lineEnd);
    // A small message is one small chunk. Its text is shorter than its records, bar CR.
    this.#chunkBytes = Math.min(CHUNK_BYTES, source.sizeBytes * 2);
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Adds the current record. @returns true when the chunk is full */
  add(reader: RecordReader): boolean {
    const { type, bytes, start, end } = reader;
    const isLine = type === RECORD.text;
    if (!isLine && type !== RECORD.longText) {
      if (type === RECORD.padding) return false;
      throw reader.damaged(`unexpected record type '${type}'`);
    }
    const length = end - start;
    const chunk = this.#room(length + 2);
    let at = this.#length;
    if (length < 24)
      for (let from = start; from < end; from += 1) chunk[at++] = bytes[from] as number;
    else at += bytes.copy(chunk, at, start, end);
    if (isLine) for (const byte of this.#lineEnd) chunk[at++] = byte;
    this.#length = at;
    return at >= this.#chunkBytes;
  }

  take(): Buffer {
    const text = (this.#chunk as Buffer).subarray(0, this.#length);
    this.#chunk = undefined;
    this.#length = 0;
    return text;
  }

  #room(bytes: number): Buffer {
    const chunk = this.#chunk;
    if (chunk !== undefined && this.#length + bytes <= chunk.length) return chunk;
    // Room for the longest usual record beyond the mark at which a chunk leaves.
    const larger = Buffer.allocUnsafe(Math.max(this.#chunkBytes + 4096, this.#length + bytes));
    chunk?.copy(larger, 0, 0, this.#length);
    this.#chunk = larger;
    return larger;
  }
}
