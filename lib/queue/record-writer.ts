import { HEADER_BYTES_MAX, writeHeader } from './record.ts';

/** Enough for most messages. Memory outside of V8's heap makes it collect garbage all the sooner. */
const FIRST_CHUNK_BYTES = 8 * 1024;
/** A large message leaves in pieces of this size. */
const CHUNK_BYTES_MAX = 64 * 1024;

/**
 * Collects records into big buffers: to write many records is one write.
 *
 * The bytes that `take` hands out are the caller's for good.
 */
export class RecordWriter {
  #chunk: Buffer;
  #start = 0;
  #end = 0;
  #taken = 0;
  /** Chunks that were full before anybody took them. */
  #full: Buffer[] = [];
  #fullBytes = 0;
  #chunkBytes: number;

  constructor(chunkBytes: number = FIRST_CHUNK_BYTES) {
    this.#chunkBytes = chunkBytes;
    this.#chunk = Buffer.allocUnsafe(chunkBytes);
  }

  /** Bytes of all records so far: where in the file the next one starts. */
  get offset(): number {
    return this.#taken + this.pending;
  }

  /** Bytes that nobody has taken yet. */
  get pending(): number {
    return this.#fullBytes + this.#end - this.#start;
  }

  /** Adds one record. */
  record(type: string, data: string | Uint8Array = ''): void {
    if (typeof data !== 'string') {
      this.slice(type, data, 0, data.length);
      return;
    }
    const length = Buffer.byteLength(data);
    this.#makeRoom(HEADER_BYTES_MAX + length);
    this.#end = writeHeader(this.#chunk, this.#end, type, length);
    this.#end += this.#chunk.write(data, this.#end);
  }

  /** Adds one record whose data is part of a buffer: no view of it has to be made. */
  slice(type: string, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.#makeRoom(HEADER_BYTES_MAX + length);
    this.#end = writeHeader(this.#chunk, this.#end, type, length);
    this.#copy(bytes, start, end);
  }

  /** Adds bytes that are records already. */
  raw(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    this.#makeRoom(end - start);
    this.#copy(bytes, start, end);
  }

  /** All bytes since the last call. */
  take(): Buffer {
    const rest = this.#chunk.subarray(this.#start, this.#end);
    const bytes = this.#full.length === 0 ? rest : Buffer.concat([...this.#full, rest]);
    this.#taken += bytes.length;
    this.#full = [];
    this.#fullBytes = 0;
    this.#start = this.#end;
    return bytes;
  }

  #copy(bytes: Uint8Array, start: number, end: number): void {
    const chunk = this.#chunk;
    let to = this.#end;
    // A native copy costs more than the few bytes of a short line.
    if (end - start < 24) for (let at = start; at < end; at += 1) chunk[to++] = bytes[at] as number;
    else {
      chunk.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), to);
      to += end - start;
    }
    this.#end = to;
  }

  #makeRoom(bytes: number): void {
    if (this.#end + bytes <= this.#chunk.length) return;
    if (this.#end > this.#start) {
      const full = this.#chunk.subarray(this.#start, this.#end);
      this.#full.push(full);
      this.#fullBytes += full.length;
    }
    this.#chunkBytes = Math.min(this.#chunkBytes * 2, CHUNK_BYTES_MAX);
    this.#chunk = Buffer.allocUnsafe(Math.max(this.#chunkBytes, bytes));
    this.#start = 0;
    this.#end = 0;
  }
}
