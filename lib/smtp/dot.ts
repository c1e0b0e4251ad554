/**
 * Transparency: a line of mail that starts with a dot gets another one on the wire, so that a lone
 * dot can end the message. RFC 5321 4.5.2. Made for big buffers: bytes are copied in runs.
 */

const DOT = 0x2e;
const CR = 0x0d;
const LF = 0x0a;
const LINE_DOT = Buffer.from('\n.');
const ONE_DOT = Buffer.from('.');

/** Stuffs a message that comes in chunks of CRLF-terminated text. */
export class DotStuffer {
  #lineStart = true;

  /** `chunk` as it goes over the wire; the same buffer when no line starts with a dot. */
  push(chunk: Buffer): Buffer {
    if (chunk.length === 0) return chunk;
    const parts: Buffer[] = [];
    let from = 0;
    if (this.#lineStart && chunk[0] === DOT) parts.push(ONE_DOT);
    for (let at = chunk.indexOf(LINE_DOT); at !== -1; at = chunk.indexOf(LINE_DOT, at + 1)) {
      parts.push(chunk.subarray(from, at + 2), ONE_DOT);
      from = at + 2;
    }
    this.#lineStart = chunk[chunk.length - 1] === LF;
    if (parts.length === 0) return chunk;
    parts.push(chunk.subarray(from));
    return Buffer.concat(parts);
  }

  /** What ends the message: the lone dot, after a line end if the text lacked its last one. */
  end(): Buffer {
    return Buffer.from(this.#lineStart ? '.\r\n' : '\r\n.\r\n');
  }
}

/** What one chunk held. */
export interface Unstuffed {
  /** Message text, its line ends as they came. */
  readonly content: Buffer;
  /** The lone dot was here: the message has ended. */
  readonly done: boolean;
  /** What follows the end of the message: the client's next commands. */
  readonly rest: Buffer;
}

const NOTHING = Buffer.alloc(0);

/**
 * Undoes the stuffing and finds the end: CR LF dot CR LF and nothing else, or a bare line end
 * would let one client smuggle a second message past another server.
 */
export class DotUnstuffer {
  /** How much of CR LF . CR LF the text so far ends with; a message starts as if after CR LF. */
  #matched = 2;

  push(chunk: Buffer): Unstuffed {
    const parts: Buffer[] = [];
    let from = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (this.#matched === 2 && byte === DOT) {
        parts.push(chunk.subarray(from, at));
        from = at + 1;
        this.#matched = 3;
      } else if (this.#matched === 3 && byte === CR) {
        parts.push(chunk.subarray(from, at));
        from = at + 1;
        this.#matched = 4;
      } else if (this.#matched === 4 && byte === LF) {
        return { content: Buffer.concat(parts), done: true, rest: chunk.subarray(at + 1) };
      } else {
        if (this.#matched === 4) parts.push(Buffer.of(CR));
        this.#matched = byte === CR ? 1 : this.#matched === 1 && byte === LF ? 2 : 0;
        if (this.#matched === 0) {
          // Only a line end matters from here on: skip to the next one.
          const next = chunk.indexOf(CR, at + 1);
          at = (next === -1 ? chunk.length : next) - 1;
        }
      }
    }
    parts.push(chunk.subarray(from));
    const content = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    return { content, done: false, rest: NOTHING };
  }
}
