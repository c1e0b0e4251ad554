/** `tls_random_source`: `dev:/dev/urandom`, or a file; what it gives is mixed into what the system gives. */
import { createHash, randomBytes } from 'node:crypto';
import { openSync, readSync } from 'node:fs';

/** One request asks for no more. */
export const SEED_BYTES_MAX = 255;

export class Entropy {
  #pool = randomBytes(32);
  #source: number | undefined;

  /** Opens a source for as long as the process lives: later it may be out of reach. @throws {Error} */
  open(source: string): void {
    this.#source = openSync(source.replace(/^dev:/, ''), 'r');
  }

  /** Mixes some of the source in, if there is one. @throws {Error} when it can't be read */
  stir(size: number): void {
    if (this.#source === undefined) return;
    const bytes = Buffer.alloc(Math.min(size, SEED_BYTES_MAX));
    const count = readSync(this.#source, bytes, 0, bytes.length, 0);
    this.#mix(bytes.subarray(0, count));
  }

  seed(size: number): Buffer {
    const seed = randomBytes(size);
    for (let at = 0; at < size; at += this.#pool.length) {
      this.#mix(randomBytes(this.#pool.length));
      const part = this.#pool;
      for (let index = 0; index < part.length && at + index < size; index += 1) {
        seed[at + index] = (seed[at + index] ?? 0) ^ (part[index] ?? 0);
      }
    }
    return seed;
  }

  #mix(bytes: Buffer): void {
    this.#pool = createHash('sha256').update(this.#pool).update(bytes).digest();
  }
}
