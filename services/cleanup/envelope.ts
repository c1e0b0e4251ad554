/**
 * The envelope of a message: the records before the content, and those behind it. Checked, completed
 * and written in the order of queue.md 3.3.
 */
import { splitAddress } from '../../lib/address/address.ts';
import { nowMicroseconds } from '../../lib/clock/clock.ts';
import { isAscii } from '../../lib/message/byte-string.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { SIZE_FLAGS } from '../../lib/queue/size-record.ts';
import { pad } from './hooks.ts';
import { type Message, SEND_OPTION } from './message.ts';
import { MessageMilters } from './milters.ts';
import { EXTRA_FLAGS, FLAG } from './protocol.ts';
import { addBcc, addMappedBcc, addRecipient } from './recipients.ts';

const ENVELOPE_TYPES = 'MCTcFILSDRO/WVA>K<iond';
const EXTRACTED_TYPES = 'EDRO/PreAFIL>Kon';
/** The first of these ends the part that comes before recipients. */
const RECIPIENT_TYPES = 'MDRO/Kon';
const EXTRACTED_RECIPIENT_TYPES = 'EDRO/Kon';

const NOTIFY_ALL = 15;
const RETURN_MAX = 2;
const MAILER_DAEMON = 'MAILER-DAEMON';

/** Bits of trace_flags that a client may set. */
const TRACE_FLAGS = 256 | 512 | 1024 | 8192;

/** DSN attributes have record types of their own, which are never written. */
const ATTRIBUTE_TYPES: Readonly<Record<string, string>> = {
  create_time: RECORD.createTime,
  envelope_id: RECORD.dsnEnvelopeId,
  ret_flags: RECORD.dsnReturn,
  notify_flags: RECORD.dsnNotify,
  dsn_orig_rcpt: RECORD.dsnOriginalRecipient,
};

/** What a record says: an attribute by its name and value. */
interface Field {
  readonly type: string;
  readonly raw: string;
  readonly name: string;
  readonly value: string;
  /** The record type that a DSN attribute stands for, else the type itself. */
  readonly meaning: string;
}

export class EnvelopeReader {
  readonly #message: Message;
  #inRecipients = false;
  #warnTimeSeen = false;
  #timeSeen = false;
  /** What the next recipient's records said so far. */
  #original: string | undefined;
  #dsnOriginal: string | undefined;
  #notify = 0;

  constructor(message: Message) {
    this.#message = message;
  }

  /** Takes one record before the content; the last one is `M`. A promise is to be waited for. */
  envelope(type: string, data: string): Promise<void> | undefined {
    const message = this.#message;
    if (type === RECORD.flags) this.#extraFlags(data);
    if (type === RECORD.flags || type === RECORD.delay) return undefined;
    const field = this.#parse(type, data);
    if (field === undefined) return undefined;
    if (!ENVELOPE_TYPES.includes(type)) {
      message.reject(`unexpected record type ${type.charCodeAt(0)} in envelope`);
      return undefined;
    }
    if (!this.#inRecipients && RECIPIENT_TYPES.includes(type) && !this.#beginRecipients()) {
      return undefined;
    }
    if (type === RECORD.message) return undefined;
    if (field.meaning === RECORD.recipient) return this.#recipient(field.raw);
    if (this.#recipientField(field)) return undefined;
    if (this.#inRecipients) message.sizeFlags |= SIZE_FLAGS.mixedRecipients;
    if (field.meaning === RECORD.sender) return this.#sender(field.raw);
    this.#messageField(field);
    return undefined;
  }

  /** The content is over: what follows is an envelope again. */
  beginExtracted(): void {
    this.#inRecipients = false;
  }

  /** Takes one record behind the content; the last one is `E`. A promise is to be waited for. */
  extracted(type: string, data: string): Promise<void> | undefined {
    const message = this.#message;
    if (type === RECORD.flags) this.#extraFlags(data);
    if (type === RECORD.flags || type === RECORD.delay) return undefined;
    if (!EXTRACTED_TYPES.includes(type)) {
      message.reject(`unexpected record type ${type.charCodeAt(0)} in extracted envelope`);
      return undefined;
    }
    const field = this.#parse(type, data);
    if (field === undefined) return undefined;
    if (!this.#inRecipients && EXTRACTED_RECIPIENT_TYPES.includes(type)) this.#writeFindings();
    if (type === RECORD.end) return this.#end();
    if (field.meaning === RECORD.recipient) return this.#recipient(field.raw);
    if (this.#recipientField(field)) return undefined;
    if (this.#inRecipients) message.sizeFlags |= SIZE_FLAGS.mixedRecipients;
    message.put(type, data);
    return undefined;
  }

  #extraFlags(data: string): void {
    const extra = Number.parseInt(data, 10) || 0;
    const unknown = extra & ~EXTRA_FLAGS;
    if (unknown === 0) this.#message.flags |= extra;
    else this.#message.warn(`ignoring bad extra flags: 0x${extra.toString(16)}`);
  }

  /** @returns undefined when the record is done with: bad, or without meaning */
  #parse(type: string, data: string): Field | undefined {
    const nul = data.indexOf('\0');
    const raw = nul < 0 ? data : data.slice(0, nul);
    if (type !== RECORD.attribute) return { type, raw, name: '', value: raw, meaning: type };
    const equals = raw.indexOf('=');
    const name = raw.slice(0, Math.max(equals, 0)).trim();
    if (name === '') {
      const what = equals < 0 ? "missing '=' after attribute name" : 'missing attribute name';
      this.#message.reject(`malformed attribute: ${what}: ${raw.slice(0, 100)}`);
      return undefined;
    }
    const value = raw.slice(equals + 1).trim();
    if (value === '') {
      this.#message.warn(`spurious null attribute value for "${name}" -- ignored`);
      return undefined;
    }
    const meaning = Object.hasOwn(ATTRIBUTE_TYPES, name) ? ATTRIBUTE_TYPES[name] : undefined;
    return { type, raw, name, value, meaning: meaning ?? type };
  }

  /** From here on, recipients: what belongs in front of them is checked, and written now. */
  #beginRecipients(): boolean {
    const message = this.#message;
    const { delay_warning_time: delay } = message.settings.parameters;
    this.#inRecipients = true;
    if (message.sender === undefined || !this.#timeSeen) {
      // showq and others rely on the order.
      const missing = message.sender === undefined ? 'sender' : 'time';
      message.reject(`missing ${missing} envelope record`);
      return false;
    }
    if (!this.#warnTimeSeen && delay > 0 && message.sender !== '') {
      message.put(RECORD.warnTime, String(message.arrivalSeconds + delay).padStart(15));
    }
    return true;
  }

  /** What comes in front of a recipient's own record. @returns whether it was that */
  #recipientField({ raw, value, meaning }: Field): boolean {
    const message = this.#message;
    switch (meaning) {
      case RECORD.done:
      case RECORD.canceled:
        this.#forget();
        return true;
      case RECORD.dsnOriginalRecipient:
        if (this.#dsnOriginal !== undefined) {
          const lost = this.#dsnOriginal.slice(0, 200);
          message.warn(`ignoring out-of-order DSN original recipient record <${lost}>`);
        }
        this.#dsnOriginal = value;
        return true;
      case RECORD.dsnNotify:
        this.#takeNotify(value, raw);
        return true;
      case RECORD.originalRecipient:
        if (this.#original !== undefined) {
          const lost = this.#original.slice(0, 200);
          message.warn(`ignoring out-of-order original recipient record <${lost}>`);
        }
        this.#original = raw;
        return true;
      default:
        return false;
    }
  }

  #takeNotify(value: string, raw: string): void {
    const message = this.#message;
    if (this.#notify !== 0) {
      message.warn(`ignoring out-of-order DSN notify record <${this.#notify}>`);
      this.#notify = 0;
    }
    const bits = decimal(value);
    // NEVER stands alone (RFC 3461 4.1).
    if (!(bits > 0 && bits <= NOTIFY_ALL) || (bits !== 1 && (bits & 1) !== 0)) {
      message.warn(`ignoring malformed DSN notify record <${raw.slice(0, 200)}>`);
      return;
    }
    this.#notify = bits;
    message.sizeFlags |= bits << SIZE_FLAGS.notifyShift;
  }

  async #recipient(address: string): Promise<void> {
    const given = {
      address,
      original: this.#original,
      dsnOriginal: this.#dsnOriginal,
      notify: this.#notify,
    };
    this.#forget();
    const { milters } = this.#message;
    const added = addRecipient(this.#message, given);
    if (milters === undefined) return added;
    await added;
    await milters.addRecipient();
  }

  #forget(): void {
    this.#original = undefined;
    this.#dsnOriginal = undefined;
    this.#notify = 0;
  }

  /** Fields of the message as a whole; its sender is not among them. */
  #messageField(field: Field): void {
    const message = this.#message;
    const { type, raw, value, meaning } = field;
    switch (meaning) {
      // We write our own.
      case RECORD.size:
      case RECORD.createTime:
        return;
      case RECORD.time:
        this.#time(raw);
        return;
      case RECORD.fullName:
        if (message.fullName !== undefined) return;
        message.fullName = raw;
        break;
      case RECORD.dsnEnvelopeId:
        if (!/^[\x20-\x7e]*$/.test(value)) {
          message.reject('bad DSN envelope ID record');
          return;
        }
        message.envelopeId = value;
        break;
      case RECORD.dsnReturn:
        if (!(decimal(value) >= 1 && decimal(value) <= RETURN_MAX)) {
          message.reject(`bad DSN RET record <${raw.slice(0, 200)}>`);
          return;
        }
        message.returnFlags = decimal(value);
        break;
      case RECORD.warnTime:
        if (this.#warnTimeSeen) return;
        this.#warnTimeSeen = true;
        break;
      case RECORD.verp:
        if (!this.#verp(raw)) return;
        break;
      case RECORD.attribute:
        if (!this.#attribute(field)) return;
        break;
      default:
    }
    message.put(type, raw);
  }

  #time(raw: string): void {
    const message = this.#message;
    if (!this.#timeSeen) {
      const [, seconds = '0', microseconds = '0'] = /^(\d{1,12})(?: +(\d{1,6}))?/.exec(raw) ?? [];
      message.arrivalSeconds = Number(seconds);
      message.arrivalMicroseconds = Number(microseconds);
      this.#timeSeen = message.arrivalSeconds > 0;
      message.put(RECORD.time, raw);
    }
    message.attribute('create_time', nowMicroseconds().seconds);
  }

  #verp(raw: string): boolean {
    const message = this.#message;
    if (!message.sender) {
      message.warn('ignoring VERP request for null sender');
      return false;
    }
    if (!/^[-=+]{2}$/.test(raw)) {
      message.warn(`ignoring bad VERP request: "${raw.slice(0, 100)}"`);
      return false;
    }
    message.verpDelimiters = raw;
    return true;
  }

  /** @returns whether to keep it */
  #attribute({ raw, name, value }: Field): boolean {
    const message = this.#message;
    const { queue_file_attribute_count_limit: limit } = message.settings.parameters;
    if (message.attributes.size >= limit) {
      message.reject(`attribute count exceeds limit ${limit}`);
      return false;
    }
    if (name === 'rewrite_context') {
      const { remote_header_rewrite_domain: domain } = message.settings.parameters;
      if (value === 'local') message.headerContext = 'local';
      else if (value === 'remote') message.headerContext = domain === '' ? undefined : 'remote';
      else {
        message.reject(`bad rewriting context: ${value.slice(0, 100)}`);
        return false;
      }
    } else if (name === 'trace_flags') {
      if (!/^\d{1,9}$/.test(value)) {
        message.reject(`bad TFLAG record <${raw.slice(0, 200)}>`);
        return false;
      }
      message.traceFlags |= Number(value) & TRACE_FLAGS;
    }
    message.attributes.set(name, value);
    return true;
  }

  async #sender(given: string): Promise<void> {
    const message = this.#message;
    if (message.sender !== undefined) {
      message.reject('multiple envelope sender records');
      return;
    }
    const address = await cleanSender(message, given);
    const at = message.output.offset;
    message.put(RECORD.sender, address);
    message.sender = address;
    if (message.hooks !== undefined && message.writes) {
      pad(message.output, RECORD.pointer, address.length);
      message.hooks.sender = { at, target: message.output.offset };
    }
    if (!isAscii(address)) message.noteUtf8(SEND_OPTION.utf8Sender);
    const { senderBcc } = message.settings;
    if (message.has(FLAG.BCC_OK) && address !== '' && senderBcc !== undefined) {
      await addMappedBcc(message, senderBcc, address);
    }
    await this.#meetMilters();
  }

  /** Mail that smtpd did not ask milters about goes to ours. */
  async #meetMilters(): Promise<void> {
    const message = this.#message;
    if (message.milters !== undefined || message.surroundings.milters.own.length === 0) return;
    message.milters = MessageMilters.prepare(message);
    await message.milters.beginSession();
  }

  /** What the content told, and rules about it. */
  #writeFindings(): void {
    const message = this.#message;
    this.#inRecipients = true;
    if (message.filter !== '') message.put(RECORD.filter, message.filter);
    if (message.redirect !== '') message.put(RECORD.redirect, message.redirect);
    const encoding = message.attributes.get('encoding');
    if (encoding !== undefined) message.attribute('encoding', encoding);
    if (message.hooks !== undefined) message.hooks.orders = message.placeHook();
  }

  async #end(): Promise<void> {
    const message = this.#message;
    message.complete = true;
    if (message.recipient !== undefined) {
      const { always_bcc: always } = message.settings.parameters;
      if (message.has(FLAG.BCC_OK) && always !== '') await addBcc(message, always);
      for (const address of message.checkBcc) {
        if (message.writes) await addBcc(message, address);
      }
    }
    message.put(RECORD.end);
  }
}

/** A sender in internal form as it will stand in the queue file. */
export async function cleanSender(message: Message, given: string): Promise<string> {
  const { rewriting } = message.surroundings;
  let address = await rewriting.internal('local', given);
  if (splitAddress(address).local.toUpperCase() === MAILER_DAEMON) {
    // Mail from ourselves is mail from nobody: it must not be answered.
    const ours = await rewriting.internal('local', MAILER_DAEMON);
    if (address.toLowerCase() === ours.toLowerCase()) address = '';
  }
  if (!message.has(FLAG.MAP_OK) || !rewriting.maps('envelope_sender')) return address;
  return address === '' ? '' : rewriting.map(message, 'envelope_sender', address);
}

/** NaN when it is no decimal number. */
function decimal(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
}
