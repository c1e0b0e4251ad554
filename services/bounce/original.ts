/** The message a notice is about, as far as its queue file can be read. */
import { headerNameLength } from '../../lib/message/header.ts';
import type { Envelope } from '../../lib/queue/envelope.ts';
import { QueueFile } from '../../lib/queue/queue-file.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import { type Hashing, QUEUE_NAMES, type QueueName } from '../../lib/queue/queue-path.ts';
import { RECORD } from '../../lib/queue/record.ts';
import type { RecordWriter } from '../../lib/queue/record-writer.ts';

/** Its recipients are in the log; one is enough to know that the envelope is sound. */
const RECIPIENTS_READ = 1;

/** A header this long is no Message-ID. */
const MESSAGE_ID_BYTES_MAX = 1000;

/** How much collects before it goes to cleanup. */
const CHUNK_BYTES = 64 * 1024;

/** An open message. */
export class Original implements Disposable {
  readonly #file: QueueFile;
  readonly envelope: Envelope;

  private constructor(file: QueueFile, envelope: Envelope) {
    this.#file = file;
    this.envelope = envelope;
  }

  /**
   * Opens the message, so that nobody takes it into the active queue meanwhile.
   *
   * @throws as `QueueFile.open`, and `QueueFileError` when its envelope is damaged
   */
  static open(queue: QueueName, id: QueueId, hashing: Hashing): Original {
    const file = QueueFile.open({ queue, id, hashing }, { write: true, lock: 'shared' });
    try {
      return new Original(file, file.envelope(RECIPIENTS_READ));
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** When it arrived, in milliseconds since the epoch. */
  get arrivedAt(): number | undefined {
    const time = this.envelope.arrivalTime;
    return time && time.seconds * 1000;
  }

  /** Bytes of its content. */
  get sizeBytes(): number {
    return this.envelope.size?.storedBytes ?? 0;
  }

  /** Its Message-ID, for the notice to be threaded with it. */
  messageId(): string | undefined {
    let value: string | undefined;
    for (const line of this.#headerLines()) {
      const isMore = /^[ \t]/.test(line);
      if (value !== undefined && !isMore) break;
      if (value !== undefined) value += line;
      else if (/^message-id[ \t]*:/i.test(line)) value = line.slice(line.indexOf(':') + 1);
    }
    const id = /<[^<>\s]+>/.exec(value ?? '')?.[0] ?? '';
    return id === '' || id.length > MESSAGE_ID_BYTES_MAX ? undefined : id;
  }

  *#headerLines(): Generator<string> {
    const reader = this.#content();
    while (reader.next() && isText(reader.type) && reader.end > reader.start) yield reader.text();
  }

  /**
   * Copies the content, or its headers, as the records it is stored in; `flush` takes what has been
   * collected.
   */
  async copy(to: RecordWriter, headersOnly: boolean, flush: () => Promise<void>): Promise<void> {
    const reader = this.#content();
    let continues = false;
    for (;;) {
      const step = reader.step();
      if (step === 'fill') {
        await reader.fill();
        continue;
      }
      if (step === 'end' || !(isText(reader.type) || reader.type === RECORD.padding)) return;
      if (reader.type === RECORD.padding) continue;
      const { bytes, start, end } = reader;
      if (headersOnly && !continues && !isHeaderLine(bytes, start, end)) return;
      to.slice(reader.type, bytes, start, end);
      continues = reader.type === RECORD.longText;
      if (to.pending >= CHUNK_BYTES) await flush();
    }
  }

  /** One recipient has its answer now. */
  markDone(offset: number): void {
    this.#file.markDone(offset);
  }

  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #content() {
    return this.#file.records(this.envelope.size?.contentOffset ?? 0);
  }
}

/** Whether a name is that of a queue. */
export function isQueueName(name: string): name is QueueName {
  return (QUEUE_NAMES as readonly string[]).includes(name);
}

function isText(type: string): boolean {
  return type === RECORD.text || type === RECORD.longText;
}

/** `Subject: x`, or what continues one. */
function isHeaderLine(bytes: Buffer, start: number, end: number): boolean {
  const first = bytes[start];
  if (end === start || first === undefined) return false;
  return (
    first === 0x20 || first === 0x09 || headerNameLength(bytes.toString('latin1', start, end)) > 0
  );
}
