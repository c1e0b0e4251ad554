/** Copies a message from its queue file into an open file, in bounded memory. Synchronous. */
import { fsyncSync, writevSync } from 'node:fs';
import { isErrno, OsError } from '../os/error.ts';
import { readContentSync } from '../queue/content.ts';
import { FromQuoter } from './from-quoter.ts';

/** The content of a message in a queue file that is open; read by position, never sought. */
export interface MessageSource {
  readonly fd: number;
  readonly path: string;
  readonly sizeBytes: number;
  /** Offset of the first content record. */
  readonly from: number;
}

export interface CopyFormat {
  /** The lines that go before the message. */
  readonly prepended: string;
  /** `>` before `From ` at the start of a line. */
  readonly quoteFrom?: boolean;
  /** An empty line after the message. */
  readonly blankLine?: boolean;
  /** At most so many bytes, or the copy fails with EFBIG; 0 is no limit. */
  readonly limitBytes: number;
}

/** Small messages leave in one write; large ones in pieces of about this size. */
const WRITE_BYTES = 256 * 1024;
const EFBIG = 27;

/**
 * Writes a message at the current end of `fd`. It is delivered after `syncFile`, not before.
 *
 * @throws {QueueFileError} when the queue file is damaged
 * @throws whatever write fails with; the caller undoes what was written
 */
export function copyMessage(fd: number, source: MessageSource, format: CopyFormat): void {
  const { prepended, quoteFrom = false, blankLine = false, limitBytes } = format;
  const writer = new Writer(fd, limitBytes);
  writer.add([Buffer.from(prepended)]);
  const quoter = quoteFrom ? new FromQuoter() : undefined;
  for (const chunk of readContentSync(source, { from: source.from })) {
    const pieces: Buffer[] = [];
    if (quoter === undefined) pieces.push(chunk);
    else quoter.push(chunk, pieces);
    writer.add(pieces);
  }
  const last: Buffer[] = [];
  quoter?.end(last);
  if (blankLine) last.push(Buffer.from('\n'));
  writer.add(last);
  writer.flush();
}

/** Waits until a file is on stable storage. A device or a FIFO has nothing to be synced. */
export function syncFile(fd: number): void {
  try {
    fsyncSync(fd);
  } catch (error) {
    if (!isErrno(error, 'EINVAL', 'EROFS', 'ENOTSUP')) throw error;
  }
}

class Writer {
  readonly #fd: number;
  readonly #limit: number;
  #pieces: Buffer[] = [];
  #pending = 0;
  #total = 0;

  constructor(fd: number, limit: number) {
    this.#fd = fd;
    this.#limit = limit;
  }

  add(pieces: readonly Buffer[]): void {
    for (const piece of pieces) {
      this.#pieces.push(piece);
      this.#pending += piece.length;
      this.#total += piece.length;
    }
    if (this.#limit > 0 && this.#total > this.#limit) throw new OsError('write', this.#fd, EFBIG);
    if (this.#pending >= WRITE_BYTES) this.flush();
  }

  flush(): void {
    let rest = this.#pieces;
    this.#pieces = [];
    this.#pending = 0;
    while (rest.length > 0) {
      let written = writevSync(this.#fd, rest.slice(0, PIECES_MAX));
      let at = 0;
      for (; at < rest.length && written >= (rest[at] as Buffer).length; at += 1) {
        written -= (rest[at] as Buffer).length;
      }
      rest = rest.slice(at);
      if (written > 0) rest[0] = (rest[0] as Buffer).subarray(written);
    }
  }
}

/** writev(2) takes no more at once (IOV_MAX). */
const PIECES_MAX = 1024;
