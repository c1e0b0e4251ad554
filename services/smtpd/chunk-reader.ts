/**
 * What a client sends after BDAT: as many bytes as it said, then its next command (RFC 3030). Bytes
 * in, records out, no I/O, and no memory for what has not come yet.
 */
import type { ContentInput, ContentPiece, ContentReader } from './content-reader.ts';

const NOTHING = Buffer.alloc(0);

export class ChunkReader implements ContentInput {
  readonly #content: ContentReader | undefined;
  readonly #isLast: boolean;
  #remaining: number;

  /** @param content takes the bytes; without it they are dropped */
  constructor({ sizeBytes, isLast }: Chunk, content?: ContentReader) {
    this.#remaining = sizeBytes;
    this.#isLast = isLast;
    this.#content = content;
  }

  /** Takes the next piece of input, however it was cut. */
  push(input: Buffer): ContentPiece {
    const chunk = input.subarray(0, this.#remaining);
    const rest = input.subarray(chunk.length);
    this.#remaining -= chunk.length;
    const ended = this.#remaining === 0;
    const records = this.#content?.push(chunk).records ?? NOTHING;
    if (!ended || !this.#isLast || this.#content === undefined) return { records, ended, rest };
    return { records: Buffer.concat([records, this.#content.finish()]), ended, rest };
  }
}

/** `BDAT 1000 LAST`. */
export interface Chunk {
  readonly sizeBytes: number;
  readonly isLast: boolean;
}

/** Sizes are 64-bit numbers to Postfix. */
const SIZE_MAX = 2n ** 63n - 1n;

/** Reads the words after BDAT; `undefined` when they are wrong. */
export function parseChunk(words: readonly string[]): Chunk | undefined {
  const [size = '', last] = words;
  if (words.length > 2 || !/^\d+$/.test(size)) return undefined;
  if (last !== undefined && last.toUpperCase() !== 'LAST') return undefined;
  const digits = size.replace(/^0+(?=\d)/, '');
  if (digits.length > 19 || BigInt(digits) > SIZE_MAX) return undefined;
  return { sizeBytes: Number(digits), isLast: last !== undefined };
}
