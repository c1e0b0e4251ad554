import { LENGTH_BITS_MAX, RECORD_BYTES_MAX, RecordError } from './record.ts';

/**
 * Takes records out of a stream that comes in chunks of any size. A record is looked at in place:
 * `type`, and `bytes` from `start` to `end`, which hold until the next `push`.
 *
 *     parser.push(chunk);
 *     while (parser.next()) handle(parser.type, parser.bytes, parser.start, parser.end);
 */
export class RecordParser {
  /** The type letter of the current record. */
  type = '';
  /** Where the current record lies: its first byte (the type), its data, and where it ends. */
  bytes: Buffer = Buffer.alloc(0);
  recordStart = 0;
  start = 0;
  end = 0;

  #at = 0;
  /** Chunks after `bytes` that wait until a record that spans them is whole. */
  #later: Buffer[] = [];
  #laterBytes = 0;
  #needed = 0;
  readonly #recordBytesMax: number;

  constructor(recordBytesMax: number = RECORD_BYTES_MAX) {
    this.#recordBytesMax = recordBytesMax;
  }

  /** Bytes that belong to no whole record yet. */
  get rest(): number {
    return this.bytes.length - this.#at + this.#laterBytes;
  }

  /** Adds a chunk. It is kept, not copied, while records in it are being read. */
  push(chunk: Buffer): void {
    if (this.#at === this.bytes.length && this.#laterBytes === 0) {
      this.bytes = chunk;
      this.#at = 0;
      return;
    }
    this.#later.push(chunk);
    this.#laterBytes += chunk.length;
  }

  /**
   * Moves on to the next record.
   *
   * @returns false when the chunks so far end before it does
   * @throws {RecordError} when it is malformed, or longer than the limit
   */
  next(): boolean {
    if (this.#read()) return true;
    if (this.#laterBytes === 0 || this.rest < this.#needed) return false;
    // A length may itself lie across chunks: only when it is known is it known what is missing.
    this.#join();
    return this.#read();
  }

  /** The current record's data; a view. */
  data(): Buffer {
    return this.bytes.subarray(this.start, this.end);
  }

  /** The current record's data as text. */
  text(): string {
    return this.bytes.toString('utf8', this.start, this.end);
  }

  /** What is left when the stream turns into something else, such as a reply. */
  takeRest(): Buffer {
    this.#join();
    const rest = this.bytes.subarray(this.#at);
    this.#at = this.bytes.length;
    return rest;
  }

  #read(): boolean {
    const bytes = this.bytes;
    const recordStart = this.#at;
    let at = recordStart + 1;
    let length = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      if (shift === LENGTH_BITS_MAX) throw new RecordError('Record length takes too many bytes');
      const byte = bytes[at++];
      if (byte === undefined) {
        this.#needed = at - recordStart;
        return false;
      }
      length |= (byte & 0x7f) << shift;
      more = byte >= 0x80;
    }
    if (length > this.#recordBytesMax)
      throw new RecordError(`Record of ${length} bytes is too long`);
    if (at + length > bytes.length) {
      this.#needed = at + length - recordStart;
      return false;
    }
    this.type = String.fromCharCode(bytes[recordStart] as number);
    this.recordStart = recordStart;
    this.start = at;
    this.end = at + length;
    this.#at = this.end;
    return true;
  }

  #join(): void {
    if (this.#laterBytes === 0) return;
    this.bytes = Buffer.concat([this.bytes.subarray(this.#at), ...this.#later]);
    this.#at = 0;
    this.#later = [];
    this.#laterBytes = 0;
  }
}
