/**
 * One file of maildrop: from a user (`postdrop`, root's `sendmail`), or put back by `postsuper -r`.
 * It goes to cleanup as a new message.
 */
import type { Stats } from 'node:fs';
import { CLEANUP_STATUS, type CleanupMessage } from '../../lib/clients/cleanup.ts';
import { now } from '../../lib/clock/clock.ts';
import { QueueFileError } from '../../lib/queue/queue-file-error.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { RecordReader } from '../../lib/queue/record-reader.ts';
import { RecordWriter } from '../../lib/queue/record-writer.ts';
import { parseSize } from '../../lib/queue/size-record.ts';
import { judgeAttribute } from './attribute-rules.ts';
import { newMailFlags, requeuedFlags } from './cleanup-flags.ts';
import { writeReceived } from './received.ts';
import type { Pickup } from './settings.ts';

/** An opened file. */
export interface MaildropFile {
  readonly fd: number;
  readonly path: string;
  readonly id: string;
  readonly stats: Stats;
}

/** Whether the file has done its work, or can't ever. */
export type FileVerdict = 'remove' | 'keep';

const ENVELOPE_TYPES = 'MCTcFILSDRO/WVA>K<iond';
const CONTENT_TYPES = 'XLNw';
const EXTRACTED_TYPES = 'EDRO/PreAFIL>Kon';

/** Records that a message loses on its way back: they are made anew, or done with. */
const DROPPED_TYPES = 'CcDL>K/IPre';
const OTHERS_READ = 0o004;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const BATCH_BYTES = 64 * 1024;
const SMTPUTF8 = 1;

export async function takeFile(pickup: Pickup, file: MaildropFile): Promise<FileVerdict> {
  const copy = new FileCopy(pickup, file);
  try {
    return await copy.run();
  } catch (error) {
    if (!(error instanceof QueueFileError)) throw error;
    const { uid } = file.stats;
    pickup.log.warn(`${copy.id}: uid=${uid}: unexpected or malformed record: ${error.message}`);
    return 'remove';
  }
}

class FileCopy {
  /** Of the new message, once there is one. */
  id: string;
  readonly #pickup: Pickup;
  readonly #file: MaildropFile;
  readonly #reader: RecordReader;
  readonly #output = new RecordWriter();
  /** Comes from `postsuper -r`: it is our own, and nobody else could read it. */
  readonly #requeued: boolean;
  #sender: string | undefined;
  #timeSeen = false;

  constructor(pickup: Pickup, file: MaildropFile) {
    const { fd, path, stats, id } = file;
    this.id = id;
    this.#pickup = pickup;
    this.#file = file;
    this.#reader = new RecordReader({ fd, path, sizeBytes: stats.size });
    this.#requeued = stats.uid === pickup.ownerUid && (stats.mode & OTHERS_READ) === 0;
  }

  async run(): Promise<FileVerdict> {
    const { cleanup } = this.#pickup;
    const message = await cleanup.open(this.#flags());
    this.id = message.queueId;
    try {
      if (!(await this.#copy(message))) return 'remove';
      const { status, reason } = await message.finish();
      return this.#conclude(status, reason);
    } finally {
      message.abort();
    }
  }

  #flags(): number {
    const { receive_override_options: overrides } = this.#pickup.parameters;
    if (!this.#requeued) return newMailFlags(overrides);
    const first = this.#reader.next() && this.#reader.type === RECORD.size;
    const size = first ? parseSize(this.#reader.text()) : undefined;
    this.#reader.seek(0);
    const smtputf8 = typeof size === 'object' && (size.sendOptions & SMTPUTF8) !== 0;
    return requeuedFlags(overrides, smtputf8);
  }

  /** @returns false when the file is no message */
  async #copy(message: CleanupMessage): Promise<boolean> {
    this.#warnOfAge();
    if (!(await this.#segment(message, ENVELOPE_TYPES))) return false;
    if (this.#sender === undefined) {
      this.#warn('no envelope sender');
      return false;
    }
    this.#logPickup();
    this.#output.record(RECORD.message);
    writeReceived(this.#output, {
      hostname: this.#pickup.parameters.myhostname,
      mailName: this.#pickup.parameters.mail_name,
      uid: this.#file.stats.uid,
      queueId: this.id,
      when: Math.min(this.#file.stats.mtimeMs, now()),
    });
    if (!(await this.#segment(message, CONTENT_TYPES))) return false;
    this.#output.record(RECORD.extracted);
    if (!(await this.#segment(message, EXTRACTED_TYPES))) return false;
    this.#output.record(RECORD.end);
    await message.write(this.#output.take());
    return true;
  }

  /** Copies one part of the file. The first letter of `types` ends it. */
  async #segment(message: CleanupMessage, types: string): Promise<boolean> {
    const reader = this.#reader;
    const { line_length_limit: lineLimit } = this.#pickup.parameters;
    const content = types === CONTENT_TYPES;
    for (;;) {
      const more = reader.next();
      if (!more || !types.includes(reader.type) || reader.end - reader.start > lineLimit) {
        const type = more ? reader.type.charCodeAt(0) : -1;
        this.#warn(`unexpected or malformed record type ${type}`);
        return false;
      }
      if (reader.type === types[0]) return true;
      if (!content) this.#envelopeRecord(types === EXTRACTED_TYPES);
      else if (reader.type !== RECORD.padding) this.#keep();
      if (this.#output.pending > BATCH_BYTES) await message.write(this.#output.take());
    }
  }

  #envelopeRecord(extracted: boolean): void {
    const { type } = this.#reader;
    if (DROPPED_TYPES.includes(type)) return;
    if (!this.#timeSeen) this.#beginEnvelope(type);
    if (type === RECORD.sender) this.#sender ??= this.#reader.text();
    if (type === RECORD.attribute) this.#attribute(extracted);
    else if (type === RECORD.time) return;
    else if (type !== RECORD.originalRecipient || this.#requeued) this.#keep();
    else this.#warn(`ignoring original recipient record: ${this.#reader.text().slice(0, 200)}`);
  }

  /** The arrival time comes first: without one, it is when the file was written. */
  #beginEnvelope(type: string): void {
    this.#timeSeen = true;
    if (type === RECORD.time) this.#keep();
    else this.#output.record(RECORD.time, String(Math.floor(this.#file.stats.mtimeMs / 1000)));
    const { content_filter: filter } = this.#pickup.parameters;
    if (filter !== '') this.#output.record(RECORD.filter, filter);
  }

  #attribute(extracted: boolean): void {
    const text = this.#reader.text();
    const verdict = judgeAttribute(text);
    if (this.#requeued && !extracted) {
      // What our own daemons wrote is what they want to read again; the lifetime begins anew.
      if (!text.startsWith('create_time=')) this.#keep();
    } else if (verdict.kind === 'keep') {
      this.#output.record(RECORD.attribute, verdict.text);
    } else if (!this.#requeued) {
      this.#warn(verdict.warning);
    }
  }

  #keep(): void {
    const { type, bytes, start, end } = this.#reader;
    this.#output.slice(type, bytes, start, end);
  }

  #warnOfAge(): void {
    const { mtimeMs } = this.#file.stats;
    const age = now() - mtimeMs;
    const { path } = this.#file;
    if (age < -2 * HOUR_MS) {
      const seconds = Math.round(-age / 1000);
      this.#pickup.log.warn(`${path}: message dated ${seconds} seconds into the future`);
    } else if (age > DAY_MS) {
      const days = Math.floor(age / DAY_MS);
      this.#pickup.log.warn(`${path}: message has been queued for ${days} days`);
    }
  }

  #logPickup(): void {
    const origin = this.#requeued ? { originalQueueId: this.#file.id } : {};
    const { uid } = this.#file.stats;
    const from = this.#sender ?? '';
    this.#pickup.log.info({ kind: 'pickup', queueId: this.id, uid, from, ...origin });
  }

  #conclude(status: number, reason: string): FileVerdict {
    if (status === 0) return 'remove';
    if (reason === '') {
      const text = `error writing ${this.id}: cleanup status ${status}`;
      this.#pickup.log.warn(`${this.#file.path}: ${text}`);
    }
    // It would fail for ever.
    return (status & (CLEANUP_STATUS.BAD | CLEANUP_STATUS.RCPT)) !== 0 ? 'remove' : 'keep';
  }

  #warn(text: string): void {
    this.#pickup.log.warn(`${this.id}: uid=${this.#file.stats.uid}: ${text}`);
  }
}
