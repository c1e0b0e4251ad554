/** `tls_random_source`: `dev:/dev/urandom`, or a file; what it gives is mixed into what the system gives. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';

/** One request asks for no more. */
export const SEED_BYTES_MAX = 255;

export class Entropy {
  #pool = randomBytes(32);

  /** @throws {Error} when the source can't be read; @returns how many bytes it gave */
  stir(source: string, size: number): number {
    const path = source.replace(/^dev:/, '');
    const bytes = Buffer.alloc(Math.min(size, SEED_BYTES_MAX));
    const descriptor = openSync(path, 'r');
    try {
      const count = readSync(descriptor, bytes, 0, bytes.length, null);
      this.#mix(bytes.subarray(0, count));
      return count;
    } finally {
      closeSync(descriptor);
    }
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
