/** An existing queue file: everything that is done with one goes through here. */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  openSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { flock } from '../os/locks.ts';
import { type ContentOptions, readContent, readContentSync } from './content.ts';
import { type Envelope, type RecipientBatch, readEnvelope, readRecipients } from './envelope.ts';
import { QueueFileBusyError, QueueFileError } from './queue-file-error.ts';
import type { QueueId } from './queue-id.ts';
import { type Hashing, type QueueName, queuePath } from './queue-path.ts';
import { formatRecord, RECORD } from './record.ts';
import { type ReaderOptions, RecordReader } from './record-reader.ts';
import type { SizeRecord } from './size-record.ts';

/** A message by the queue it is in. */
export interface QueuePlace {
  readonly queue: QueueName;
  readonly id: QueueId;
  readonly hashing: Hashing;
}

export interface OpenOptions {
  /** To mark recipients and to change records in place. */
  readonly write?: boolean;
  /** `shared` while delivering, `exclusive` while taking it into the active queue. Never waits. */
  readonly lock?: 'shared' | 'exclusive';
}

/** Mode bits that say what state a message is in. */
export const QUEUE_FILE_MODE = {
  /** Complete; while it is written the owner's execute bit is missing. */
  ready: 0o700,
  writing: 0o600,
  /** Its content can't be read: qmgr moves it to corrupt. */
  corrupt: 0o400,
  /** `postqueue -i`: forget that its destinations are dead. */
  unthrottle: 0o040,
  /** `postsuper -e`: return it at the next opportunity. */
  expire: 0o010,
} as const;

/** Whether a file is a complete message. All others are skipped by whoever scans a queue. */
export function isReady(stats: Pick<Stats, 'mode' | 'isFile'>): boolean {
  return stats.isFile() && (stats.mode & QUEUE_FILE_MODE.ready) === QUEUE_FILE_MODE.ready;
}

const DONE_MARK = Buffer.from(RECORD.done);
const KILLED_MARK = Buffer.from(RECORD.killed);

/** An open queue file. Its lock lasts until `close`. */
export class QueueFile {
  readonly fd: number;
  readonly path: string;
  readonly stats: Stats;
  #open = true;

  private constructor(fd: number, path: string, stats: Stats) {
    this.fd = fd;
    this.path = path;
    this.stats = stats;
  }

  /**
   * Opens a message: a regular file, no symbolic link.
   *
   * @throws {QueueFileBusyError} when another holds a lock that excludes ours
   * @throws {QueueFileError} when it is no regular file
   * @throws as `open(2)`: `ENOENT` when the message is gone
   */
  static open(where: string | QueuePlace, options: OpenOptions = {}): QueueFile {
    const path =
      typeof where === 'string' ? where : queuePath(where.queue, where.id, where.hashing);
    const access = options.write ? constants.O_RDWR : constants.O_RDONLY;
    const fd = openSync(path, access | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      if (options.lock !== undefined && !flock(fd, options.lock)) {
        throw new QueueFileBusyError(path);
      }
      const stats = fstatSync(fd);
      if (!stats.isFile()) throw new QueueFileError(path, 0, 'not a regular file');
      return new QueueFile(fd, path, stats);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  get sizeBytes(): number {
    return this.stats.size;
  }

  /** Whether the file says that it is complete. Only its end record proves it. */
  get ready(): boolean {
    return isReady(this.stats);
  }

  /** Reads all but the content, with at most `recipientLimit` recipients. @throws {QueueFileError} */
  envelope(recipientLimit?: number): Envelope {
    return readEnvelope(this, recipientLimit);
  }

  /** Reads the next recipients, from where an earlier batch ended. @throws {QueueFileError} */
  recipients(from: number, recipientLimit: number, size: SizeRecord): RecipientBatch {
    return readRecipients(this, from, recipientLimit, size);
  }

  /** The content as text, in chunks of whole records. Damage is thrown while reading. */
  content(options?: ContentOptions): AsyncGenerator<Buffer, void, undefined> {
    return readContent(this, options);
  }

  /** The same where only one message waits: a thread, a command. */
  contentSync(options?: ContentOptions): Generator<Buffer, void, undefined> {
    return readContentSync(this, options);
  }

  /** All records one by one, in their logical order or as they lie. */
  records(offset = 0, options?: ReaderOptions): RecordReader {
    return new RecordReader(this, offset, options);
  }

  /**
   * Marks a recipient done, by the offset of its record: one byte. Not synced: when the mark is
   * lost in a crash, the recipient gets the message a second time.
   *
   * @throws {QueueFileError} when there is no recipient
   */
  markDone(offset: number): void {
    this.#replaceType(offset, [RECORD.recipient, RECORD.done], DONE_MARK);
  }

  /** Switches a named attribute off for good. */
  killAttribute(offset: number): void {
    this.#replaceType(offset, [RECORD.attribute, RECORD.killed], KILLED_MARK);
  }

  /** Writes down that the sender has heard of the delay. */
  markWarned(offset: number): void {
    const reader = this.records(offset, { raw: true });
    if (!reader.next() || reader.type !== RECORD.warnTime) {
      throw new QueueFileError(this.path, offset, 'no warning time record');
    }
    const width = reader.end - reader.start;
    this.writeAt(formatRecord(RECORD.warnTime, '-1'.padStart(width)), offset);
  }

  /** Overwrites bytes in place. */
  writeAt(bytes: Buffer, offset: number): void {
    let written = 0;
    while (written < bytes.length) {
      written += writeSync(this.fd, bytes, written, bytes.length - written, offset + written);
    }
  }

  /** Sets the mode bits that say what state the message is in. */
  setMode(mode: number): void {
    fchmodSync(this.fd, mode);
  }

  /** Closes the file, and with it ends the lock. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #replaceType(offset: number, expected: readonly string[], mark: Buffer): void {
    const reader = this.records(offset, { raw: true });
    // The offset may come from another process: never write over anything else.
    if (offset <= 0 || !reader.next() || !expected.includes(reader.type)) {
      throw new QueueFileError(this.path, offset, `no record of type '${expected[0]}'`);
    }
    this.writeAt(mark, offset);
  }
}
