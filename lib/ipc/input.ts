/**
 * Bytes that have arrived and nobody has used yet. A chunk is taken as it is; when more comes
 * first, it is copied into room that doubles, so that a peer who sends byte by byte costs no more.
 */
export class Input {
  /** Valid from `start` to `end`; what lies beyond is room. */
  bytes: Buffer = EMPTY;
  start = 0;
  end = 0;
  #owned = false;

  get length(): number {
    return this.end - this.start;
  }

  append(chunk: Buffer): void {
    if (this.start === this.end) {
      this.bytes = chunk;
      this.start = 0;
      this.end = chunk.length;
      this.#owned = false;
      return;
    }
    if (!this.#owned || this.end + chunk.length > this.bytes.length) this.#grow(chunk.length);
    chunk.copy(this.bytes, this.end);
    this.end += chunk.length;
  }

  /** Takes everything. */
  takeAll(): Buffer {
    const all = this.bytes.subarray(this.start, this.end);
    this.clear();
    return all;
  }

  /** Puts bytes back in front of everything else. */
  unread(bytes: Buffer): void {
    const rest = this.length === 0 ? bytes : Buffer.concat([bytes, this.takeAll()]);
    this.clear();
    this.append(rest);
  }

  clear(): void {
    this.bytes = EMPTY;
    this.start = 0;
    this.end = 0;
    this.#owned = false;
  }

  #grow(needed: number): void {
    const room = Buffer.allocUnsafe(Math.max(ROOM_MIN, 2 * (this.length + needed)));
    this.bytes.copy(room, 0, this.start, this.end);
    this.end -= this.start;
    this.start = 0;
    this.bytes = room;
    this.#owned = true;
  }
}

const EMPTY = Buffer.alloc(0);
const ROOM_MIN = 4096;
