/** smtp_reply_filter: a table that may replace each line a server says. */
import type { ReplyFilter } from './session.ts';

const LF = 0x0a;
const CR = 0x0d;

/** Cuts what a server says into lines, and hands them on in their order, as the filter has them. */
export class FilteredLines {
  readonly #filter: ReplyFilter;
  readonly #lineLimit: number;
  readonly #push: (bytes: Buffer) => void;
  readonly #failed: (error: unknown) => void;
  #pending: Buffer = Buffer.alloc(0);
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(
    filter: ReplyFilter,
    options: { lineLimit: number; push(bytes: Buffer): void; failed(error: unknown): void },
  ) {
    this.#filter = filter;
    this.#lineLimit = options.lineLimit;
    this.#push = options.push;
    this.#failed = options.failed;
  }

  /** Something has come that has not been handed on. */
  get hasPending(): boolean {
    return this.#pending.length > 0 || this.#waiting > 0;
  }

  push(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    for (let end = this.#pending.indexOf(LF); end >= 0; end = this.#pending.indexOf(LF)) {
      const line = this.#pending.subarray(0, this.#pending[end - 1] === CR ? end - 1 : end);
      this.#pending = this.#pending.subarray(end + 1);
      this.#inTurn(line.length > this.#lineLimit ? line.subarray(0, this.#lineLimit) : line);
    }
    // Nobody keeps more of a line than this; where it ends is still to be found.
    if (this.#pending.length > this.#lineLimit) {
      this.#pending = this.#pending.subarray(0, this.#lineLimit);
    }
  }

  /** Does something when everything so far has been handed on. */
  afterAll(action: () => void): void {
    this.#last = this.#last.then(action);
  }

  #inTurn(line: Buffer): void {
    this.#waiting += 1;
    this.#last = this.#last.then(() => this.#handOn(line));
  }

  async #handOn(line: Buffer): Promise<void> {
    try {
      const replaced = await this.#filter(line.toString('utf8'));
      const bytes = replaced === undefined ? line : Buffer.from(replaced);
      this.#waiting -= 1;
      this.#push(Buffer.concat([bytes, Buffer.from('\r\n')]));
    } catch (error) {
      this.#waiting -= 1;
      this.#failed(error);
    }
  }
}
