/**
 * Breaks lines that SMTP can't carry: after `limit` bytes comes a line end and a space. Text goes
 * through in chunks with CRLF line ends; a chunk without long lines comes back as it is.
 */
export class LineFolder {
  readonly #limit: number;
  /** Bytes of the line that the text so far ends with. */
  #column = 0;

  /** @param limit bytes, the line end not counted; 0: none */
  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Buffer): Buffer {
    if (this.#limit === 0) return chunk;
    const parts: Buffer[] = [];
    let from = 0;
    for (let at = 0; at < chunk.length; ) {
      // A stretch no longer than one line: if a line ends in it, all lines in it are short.
      const room = this.#limit - this.#column;
      const reach = Math.min(at + room + 2, chunk.length);
      const lineEnd = chunk.lastIndexOf(LF, reach - 1);
      if (lineEnd >= at) {
        at = lineEnd + 1;
        this.#column = 0;
      } else if (chunk.length - at <= room || endsInCr(chunk, at + room)) {
        this.#column += chunk.length - at;
        at = chunk.length;
      } else {
        at += Math.max(room, 0);
        parts.push(chunk.subarray(from, at), BREAK);
        from = at;
        this.#column = 1;
      }
    }
    if (parts.length === 0) return chunk;
    parts.push(chunk.subarray(from));
    return Buffer.concat(parts);
  }
}

const LF = 0x0a;
const CR = 0x0d;
const BREAK = Buffer.from('\r\n ');

/** The line is full, and the chunk ends in the middle of its CRLF. */
function endsInCr(chunk: Buffer, end: number): boolean {
  return end === chunk.length - 1 && chunk[end] === CR;
}
