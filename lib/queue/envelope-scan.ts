/** One pass over the envelope records of a queue file. */
import type { WallTime } from '../clock/clock.ts';
import type { Envelope, QueuedRecipient } from './envelope.ts';
import { RECORD } from './record.ts';
import type { RecordReader } from './record-reader.ts';
import { parseSize, SIZE_FLAGS, type SizeRecord } from './size-record.ts';

/** More than cleanup ever writes, by a factor of ten. */
const ATTRIBUTES_MAX = 1000;
const ENVELOPE_RECORD_BYTES_MAX = 256 * 1024;

/** The state of one pass over an envelope. */
export class EnvelopeScan {
  #size: SizeRecord | undefined;
  #arrivalTime: WallTime | undefined;
  #sender: string | undefined;
  #fullName: string | undefined;
  #contentFilter: string | undefined;
  #inspector: string | undefined;
  #redirect: string | undefined;
  #verpDelimiters: string | undefined;
  #envelopeId = '';
  #returnFlags = 0;
  #warnTime = 0;
  #warnOffset = 0;
  #traceFlags = 0;
  #traceOffset = 0;
  readonly #attributes = new Map<string, string>();
  readonly #recipients: QueuedRecipient[] = [];
  #doneCount = 0;
  #moreAt: number | undefined;

  readonly #reader: RecordReader;
  readonly #limit: number;
  /** Reading on for recipients only: the rest is known. */
  readonly #goesOn: boolean;
  #createTime = 0;
  /** What the next recipient's records said so far. */
  #original = '';
  #dsnOriginal = '';
  #notify = 0;
  /** Where the records of the next recipient begin. */
  #groupAt = 0;

  constructor(reader: RecordReader, recipientLimit: number, size?: SizeRecord) {
    this.#reader = reader;
    this.#limit = recipientLimit;
    this.#goesOn = size !== undefined;
    this.#size = size;
  }

  /** Reads on to the end, or until nothing that follows is wanted now. */
  run(): Envelope {
    const reader = this.#reader;
    this.#groupAt = reader.position;
    while (reader.next()) {
      if (reader.type === RECORD.end) return this.#envelope();
      if (reader.end - reader.start > ENVELOPE_RECORD_BYTES_MAX) {
        throw reader.damaged(`envelope record of ${reader.end - reader.start} bytes`);
      }
      if (this.#take(reader.type)) return this.#envelope();
    }
    throw reader.damaged('missing end record');
  }

  /** What was read, without the file's bytes: an envelope lives as long as its message is active. */
  #envelope(): Envelope {
    return {
      size: this.#size,
      arrivalTime: this.#arrivalTime,
      sender: this.#sender,
      fullName: this.#fullName,
      contentFilter: this.#contentFilter,
      inspector: this.#inspector,
      redirect: this.#redirect,
      verpDelimiters: this.#verpDelimiters,
      envelopeId: this.#envelopeId,
      returnFlags: this.#returnFlags,
      warnTime: this.#warnTime,
      warnOffset: this.#warnOffset,
      traceFlags: this.#traceFlags,
      traceOffset: this.#traceOffset,
      attributes: this.#attributes,
      recipients: this.#recipients,
      doneCount: this.#doneCount,
      moreAt: this.#moreAt,
      createTime: this.#createTime || (this.#arrivalTime?.seconds ?? 0),
    };
  }

  /** @returns true when nothing that follows is wanted now */
  #take(type: string): boolean {
    const reader = this.#reader;
    switch (type) {
      case RECORD.recipient:
        return this.#takeRecipient();
      case RECORD.originalRecipient:
        this.#original = reader.text();
        return false;
      case RECORD.attribute:
        this.#takeAttribute();
        return false;
      case RECORD.done:
      case RECORD.canceled:
        this.#doneCount += 1;
        this.#endGroup();
        return false;
      case RECORD.dsnOriginalRecipient:
        this.#dsnOriginal = reader.text();
        return false;
      case RECORD.dsnNotify:
        this.#notify = number(reader.text());
        return false;
      case RECORD.message:
        this.#skipContent();
        return false;
      case RECORD.extracted:
      case RECORD.killed:
      case RECORD.returnReceipt:
      case RECORD.errorsTo:
      case RECORD.priority:
        return false;
      default:
        this.#takeField(type);
        return false;
    }
  }

  #takeField(type: string): void {
    const reader = this.#reader;
    switch (type) {
      case RECORD.size: {
        if (this.#size !== undefined) return;
        const size = parseSize(reader.text());
        if (typeof size === 'string') throw reader.damaged(size);
        this.#size = size;
        return;
      }
      case RECORD.time:
        this.#arrivalTime ??= time(reader.text());
        return;
      case RECORD.createTime:
        this.#createTime ||= number(reader.text());
        return;
      case RECORD.sender:
        this.#sender ??= reader.text();
        return;
      case RECORD.fullName:
        this.#fullName = reader.text();
        return;
      case RECORD.filter:
        this.#contentFilter = reader.text();
        return;
      case RECORD.inspector:
        this.#inspector = reader.text();
        return;
      case RECORD.redirect:
        this.#redirect = reader.text();
        return;
      case RECORD.verp:
        this.#verpDelimiters ??= reader.text();
        return;
      case RECORD.dsnEnvelopeId:
        this.#envelopeId ||= reader.text();
        return;
      case RECORD.dsnReturn:
        this.#returnFlags ||= number(reader.text());
        return;
      case RECORD.warnTime:
        if (this.#warnOffset !== 0) return;
        this.#warnOffset = reader.offset;
        this.#warnTime = Number.parseInt(reader.text(), 10) || 0;
        return;
      default:
        throw reader.damaged(`unexpected record type '${type}'`);
    }
  }

  #takeRecipient(): boolean {
    const reader = this.#reader;
    if (this.#moreAt !== undefined) return false;
    if (this.#recipients.length >= this.#limit) {
      this.#moreAt = this.#groupAt;
      if (this.#goesOn) return true;
      this.#skipRecipients();
      return false;
    }
    this.#recipients.push({
      original: this.#original,
      address: reader.text(),
      offset: reader.offset,
      dsnOriginal: this.#dsnOriginal,
      notify: this.#notify,
    });
    this.#endGroup();
    return false;
  }

  #endGroup(): void {
    this.#original = '';
    this.#dsnOriginal = '';
    this.#notify = 0;
    this.#groupAt = this.#reader.position;
  }

  /** When recipients stand alone at the end of the envelope, nothing is missed behind them. */
  #skipRecipients(): void {
    const size = this.#size;
    if (size === undefined || (size.flags & SIZE_FLAGS.mixedRecipients) !== 0) return;
    if (this.#reader.offset < size.contentOffset) this.#seekExtracted(size);
  }

  #skipContent(): void {
    if (this.#size !== undefined) {
      if (this.#reader.position !== this.#size.contentOffset) {
        throw this.#reader.damaged(`content is not at ${this.#size.contentOffset}`);
      }
      this.#seekExtracted(this.#size);
      return;
    }
    const reader = this.#reader;
    while (reader.next()) {
      if (reader.type === RECORD.extracted) return;
      if (!isContent(reader.type)) throw reader.damaged(`unexpected record type '${reader.type}'`);
    }
    throw reader.damaged('missing end record');
  }

  #seekExtracted(size: SizeRecord): void {
    const reader = this.#reader;
    reader.seek(size.contentOffset + size.storedBytes);
    if (!reader.next()) throw reader.damaged('missing end record');
    if (reader.type !== RECORD.extracted) {
      throw reader.damaged(`unexpected record type '${reader.type}'`);
    }
  }

  #takeAttribute(): void {
    const reader = this.#reader;
    const text = reader.text();
    const equals = text.indexOf('=');
    if (equals < 0) {
      throw reader.damaged("bad attribute record: missing '=' after attribute name");
    }
    const name = text.slice(0, equals).trim();
    const value = text.slice(equals + 1).trim();
    switch (name) {
      case 'dsn_orig_rcpt':
        this.#dsnOriginal = value;
        return;
      case 'notify_flags':
        this.#notify = number(value);
        return;
      case 'envelope_id':
        this.#envelopeId ||= value;
        return;
      case 'ret_flags':
        this.#returnFlags ||= number(value);
        return;
      case 'create_time':
        this.#createTime ||= number(value);
        return;
      case 'trace_flags':
        if (this.#traceFlags !== 0) return;
        this.#traceFlags = number(value);
        this.#traceOffset = reader.offset;
        return;
      default:
        if (this.#attributes.size >= ATTRIBUTES_MAX) throw reader.damaged('too many attributes');
        this.#attributes.set(name, value);
    }
  }
}

/** A nonsensical number harms nobody more than a missing one: the message can still be delivered. */
function number(text: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}

/** `1700000000 5`, or the seconds alone. */
function time(text: string): WallTime | undefined {
  const [seconds = '', microseconds = '0'] = text.trim().split(/ +/, 2);
  if (number(seconds) === 0) return undefined;
  return { seconds: number(seconds), microseconds: number(microseconds) };
}

/** Whether a record may stand between `M` and `X`. */
export function isContent(type: string): boolean {
  return type === RECORD.text || type === RECORD.longText || type === RECORD.padding;
}
