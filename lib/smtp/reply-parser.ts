import { type Reply, statusOf } from './reply.ts';

/** A reply, and the lines before it that were none. */
export interface ParsedReply {
  readonly reply: Reply;
  readonly garbage: readonly string[];
  /** A line had more than the limit and lost its end. */
  readonly truncated: boolean;
}

export interface ReplyLimits {
  /** Longest line that is kept, and about the most text that is kept of a whole reply. */
  readonly lineLimit: number;
  /** Text may be UTF-8; else what is not ASCII becomes `?`. */
  readonly utf8?: boolean;
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const HYPHEN = 0x2d;
const NOTHING = Buffer.alloc(0);
/** What a server may say in place of replies before nobody keeps it. */
const GARBAGE_LINES_MAX = 100;

/**
 * Cuts what a server sends into replies. Bounded: a line is kept up to the limit, and once a reply
 * has that much text its further lines count but are not kept. Control characters become `?`.
 * What does not look like a reply is skipped and told of, since a reply may still follow.
 */
export class ReplyParser {
  readonly #lineLimit: number;
  readonly #utf8: boolean;
  #pending: Buffer = NOTHING;
  /** The rest of an over-long line is being skipped. */
  #skipping = false;
  #lines: string[] = [];
  #length = 0;
  #garbage: string[] = [];
  #truncated = false;

  constructor(limits: ReplyLimits) {
    this.#lineLimit = limits.lineLimit;
    this.#utf8 = limits.utf8 ?? true;
  }

  push(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
  }

  /** Bytes came that no reply has used up. */
  get hasPending(): boolean {
    return this.#pending.length > 0 || this.#lines.length > 0;
  }

  /** The next whole reply, or `undefined`: push more. */
  next(): ParsedReply | undefined {
    for (let line = this.#nextLine(); line !== undefined; line = this.#nextLine()) {
      const kind = kindOf(line);
      if (kind === 'garbage') {
        if (this.#garbage.length < GARBAGE_LINES_MAX) this.#garbage.push(this.#cleaned(line));
        continue;
      }
      this.#keep(line);
      if (kind === 'last') return this.#finish(Number(line.toString('latin1', 0, 3)));
    }
    return undefined;
  }

  #nextLine(): Buffer | undefined {
    for (;;) {
      const end = this.#pending.indexOf(LF);
      if (this.#skipping) {
        this.#pending = end === -1 ? NOTHING : this.#pending.subarray(end + 1);
        if (end === -1) return undefined;
        this.#skipping = false;
        continue;
      }
      if (end === -1 ? this.#pending.length <= this.#lineLimit : end <= this.#lineLimit) {
        if (end === -1) return undefined;
        let length = end;
        while (this.#pending[length - 1] === CR) length -= 1;
        const line = this.#pending.subarray(0, length);
        this.#pending = this.#pending.subarray(end + 1);
        return line;
      }
      const line = this.#pending.subarray(0, this.#lineLimit);
      this.#pending = this.#pending.subarray(this.#lineLimit);
      this.#skipping = true;
      this.#truncated = true;
      return line;
    }
  }

  #keep(line: Buffer): void {
    if (this.#length >= this.#lineLimit && this.#lines.length > 0) return;
    this.#length += line.length + (this.#lines.length > 0 ? 1 : 0);
    this.#lines.push(this.#cleaned(line.subarray(4)));
  }

  #cleaned(line: Buffer): string {
    return this.#utf8
      ? line.toString('utf8').replace(UNPRINTABLE, '?')
      : line.toString('latin1').replace(NOT_ASCII, '?');
  }

  #finish(code: number): ParsedReply {
    const reply: Reply = { code, status: statusOf(code, this.#lines[0] ?? ''), lines: this.#lines };
    const parsed = { reply, garbage: this.#garbage, truncated: this.#truncated };
    this.#lines = [];
    this.#length = 0;
    this.#garbage = [];
    this.#truncated = false;
    return parsed;
  }
}

function kindOf(line: Buffer): 'more' | 'last' | 'garbage' {
  if (!isDigit(line[0]) || !isDigit(line[1]) || !isDigit(line[2])) return 'garbage';
  if (line.length === 3 || line[3] === SPACE) return 'last';
  return line[3] === HYPHEN ? 'more' : 'garbage';
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\ufffd]/g;
const NOT_ASCII = /[^\x20-\x7e]/g;
