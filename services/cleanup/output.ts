/**
 * The queue file of one message while it is written. Records are collected, so that a small message
 * is a single write; the size record in front is filled in before that, or in place when the
 * message was too long to keep.
 */

import { isAscii } from '../../lib/message/byte-string.ts';
import type { NewQueueFile } from '../../lib/queue/new-file.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { RecordWriter } from '../../lib/queue/record-writer.ts';
import { formatSize, type SizeRecord } from '../../lib/queue/size-record.ts';

/** What is collected before it is written. */
const PENDING_BYTES_MAX = 256 * 1024;
/** Type and length of the size record; its payload follows. */
const SIZE_HEADER_BYTES = 2;

const NO_SIZE: SizeRecord = {
  storedBytes: 0,
  contentOffset: 0,
  recipientCount: 0,
  flags: 0,
  contentBytes: 0,
  sendOptions: 0,
};

/** A line longer than line_length_limit is kept in pieces. */
const isText = (type: string): boolean => type === RECORD.text || type === RECORD.longText;

export class QueueOutput {
  readonly #file: NewQueueFile;
  readonly #lineLimit: number;
  readonly #writer = new RecordWriter();
  #flushed = false;

  /** @param lineLimit line_length_limit */
  constructor(file: NewQueueFile, lineLimit: number) {
    this.#file = file;
    this.#lineLimit = lineLimit;
    this.#writer.record(RECORD.size, formatSize(NO_SIZE));
  }

  /** Where the next record will be. */
  get offset(): number {
    return this.#writer.offset;
  }

  get mustFlush(): boolean {
    return this.#writer.pending > PENDING_BYTES_MAX;
  }

  /** Adds a record of envelope or content; `text` is a byte string. */
  record(type: string, text = ''): void {
    let rest = text;
    if (isText(type)) {
      while (rest.length > this.#lineLimit) {
        this.#put(RECORD.longText, rest.slice(0, this.#lineLimit));
        rest = rest.slice(this.#lineLimit);
      }
    }
    this.#put(type, rest);
  }

  /** Adds bytes that are records already, none of them longer than a line may be. */
  raw(bytes: Buffer, start: number, end: number): void {
    this.#writer.raw(bytes, start, end);
  }

  /** Writes what is collected. @throws as write(2): the disk is full */
  async flush(): Promise<void> {
    this.#flushed = true;
    await this.#file.write(this.#writer.take());
  }

  /** Writes the rest, and what is known only now. */
  async finish(size: SizeRecord): Promise<void> {
    const record = Buffer.from(formatSize(size), 'latin1');
    const bytes = this.#writer.take();
    if (!this.#flushed) record.copy(bytes, SIZE_HEADER_BYTES);
    await this.#file.write(bytes);
    if (this.#flushed) this.#file.writeAt(record, SIZE_HEADER_BYTES);
  }

  #put(type: string, text: string): void {
    this.#writer.record(type, isAscii(text) ? text : Buffer.from(text, 'latin1'));
  }
}
