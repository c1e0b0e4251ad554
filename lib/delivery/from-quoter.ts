/** Lines that begin with `From ` would start a new message in a mailbox: they get a `>`. Pure. */
const FROM = Buffer.from('From ');
const LINE_FROM = Buffer.from('\nFrom ');
const QUOTED = Buffer.from('>From ');
const QUOTED_LINE = Buffer.from('\n>From ');

/** Quotes a text that comes in chunks; a chunk may end anywhere. */
export class FromQuoter {
  /** The end of the last chunk, when it may be the beginning of `\nFrom `. */
  #held: Buffer = Buffer.alloc(0);
  #atStart = true;

  /** Takes a chunk, and adds what can be written to `out`. */
  push(chunk: Buffer, out: Buffer[]): void {
    const text = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let from = 0;
    if (this.#atStart) {
      if (text.length < FROM.length && FROM.subarray(0, text.length).equals(text)) {
        this.#held = text;
        return;
      }
      this.#atStart = false;
      if (text.subarray(0, FROM.length).equals(FROM)) {
        out.push(QUOTED);
        from = FROM.length;
      }
    }
    const end = text.length - beginningAtEnd(text, from);
    for (;;) {
      const found = text.indexOf(LINE_FROM, from);
      if (found < 0) break;
      if (found > from) out.push(text.subarray(from, found));
      out.push(QUOTED_LINE);
      from = found + LINE_FROM.length;
    }
    if (end > from) out.push(text.subarray(from, end));
    this.#held = text.subarray(Math.max(end, from));
  }

  /** No more chunks. */
  end(out: Buffer[]): void {
    if (this.#held.length > 0) out.push(this.#held);
    this.#held = Buffer.alloc(0);
  }
}

/** How many bytes at the end of `text` could go on as `\nFrom `. */
function beginningAtEnd(text: Buffer, from: number): number {
  const last = text.lastIndexOf(0x0a);
  if (last < from) return 0;
  const rest = text.length - last;
  return rest < LINE_FROM.length && LINE_FROM.subarray(0, rest).equals(text.subarray(last))
    ? rest
    : 0;
}
