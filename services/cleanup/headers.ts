/**
 * The headers of a message: checked, dropped, rewritten; and those that are missing added.
 */
import { quote } from '../../lib/address/address.ts';
import { rewriteHeader } from '../../lib/address/list.ts';
import { scan } from '../../lib/address/token.ts';
import { toLogText } from '../../lib/message/byte-string.ts';
import { formatDate } from '../../lib/message/date.ts';
import { headerNameLength, type KnownHeader, knownHeader } from '../../lib/message/header.ts';
import { makeMessageId } from '../../lib/message/message-id.ts';
import type { HeaderClass } from '../../lib/message/mime.ts';
import type { TableList } from '../../lib/table/table.ts';
import { checkLine } from './checks.ts';
import { writeHeader, writeLine } from './header-records.ts';
import type { Message } from './message.ts';
import { FLAG, STATUS } from './protocol.ts';

const RECIPIENT_HEADERS = ['to', 'resent-to', 'cc', 'resent-cc'];

/** Encodings that make the message 8-bit. RFC 2045 6. */
const EIGHT_BIT_ENCODINGS = /^\s*(?:8bit|binary)\s*$/i;

export class HeaderWriter {
  readonly #message: Message;
  /** Names in lower case, of the message's own headers. */
  readonly #seen = new Set<string>();
  #resent = '';
  #hops = 0;

  constructor(message: Message) {
    this.#message = message;
  }

  /** Received: headers so far. */
  get hops(): number {
    return this.#hops;
  }

  /**
   * Takes one header of the message or of a part of it; `tables` are to be asked about it first. A
   * promise is to be waited for.
   */
  header(of: HeaderClass, given: string, tables: TableList | undefined): Promise<void> | undefined {
    if (tables !== undefined) return this.#check(of, tables, given);
    return this.#take(of, lowerName(given), given);
  }

  #take(of: HeaderClass, name: string, text: string): Promise<void> | undefined {
    const message = this.#message;
    if (name === 'content-transfer-encoding') {
      if (EIGHT_BIT_ENCODINGS.test(textAfterColon(text)))
        message.attributes.set('encoding', '8bit');
    }
    if (of === 'primary') return this.#own(name, knownHeader(name), text);
    this.#write(text);
    return undefined;
  }

  /** The message's own headers are complete: adds what is missing. */
  addMissing(): void {
    const message = this.#message;
    const { parameters } = message.settings;
    if (message.headerContext !== undefined || parameters.always_add_missing_headers) {
      if (!this.#has('message-id')) this.#addMessageId();
      if (!this.#has('date')) {
        this.#write(`${this.#resent}Date: ${formatDate(message.arrivalSeconds * 1000)}`);
      }
      if (!this.#has('from')) {
        // Postfix does not look for UTF-8 in it.
        writeLine(message, `${this.#resent}From: ${this.#fromValue()}`);
      }
    }
    if (!this.#seen.has('message-id')) {
      message.info({ kind: 'message-id', queueId: message.id, messageId: '' });
    }
    this.#addUndisclosed();
  }

  #addUndisclosed(): void {
    const { undisclosed_recipients_header: header } = this.#message.settings.parameters;
    if (header === '' || RECIPIENT_HEADERS.some((name) => this.#seen.has(name))) return;
    if (headerNameLength(header) > 0) this.#write(header);
    else {
      this.#message.warn(
        `bad undisclosed_recipients_header header text "${header}" -- need "headername: headervalue"`,
      );
    }
  }

  /** Whether the header is there that counts: its Resent- form when there is any. */
  #has(name: string): boolean {
    return this.#seen.has(this.#resent.toLowerCase() + name);
  }

  #addMessageId(): void {
    const message = this.#message;
    const ms = message.file.time.seconds * 1000;
    const messageId = makeMessageId(message.id, ms, message.settings.parameters.myhostname);
    this.#write(`${this.#resent}Message-Id: ${messageId}`);
    const resent = this.#resent !== '';
    message.info({ kind: 'message-id', queueId: message.id, messageId, resent });
    this.#seen.add(`${this.#resent.toLowerCase()}message-id`);
  }

  #fromValue(): string {
    const message = this.#message;
    const address = quote(message.sender || 'MAILER-DAEMON');
    if (!message.fullName) return address;
    return `${phrase(message.fullName)}<${address}>`;
  }

  async #check(of: HeaderClass, tables: TableList, given: string): Promise<void> {
    const verdict = await checkLine(this.#message, tables, { part: 'header', text: given });
    if (verdict.before !== undefined) this.#write(verdict.before);
    const { text } = verdict;
    if (text !== undefined) await this.#take(of, lowerName(text), text);
  }

  #own(name: string, known: KnownHeader | undefined, text: string): Promise<void> | undefined {
    const message = this.#message;
    const dropped = message.settings.dropHeaders.has(name);
    if (known === undefined) {
      if (!dropped) this.#write(text);
      return undefined;
    }
    this.#seen.add(name);
    if (known.resent) this.#resent = 'Resent-';
    this.#note(name, text);
    if (dropped) return undefined;
    if (known.addresses !== undefined && message.headerContext !== undefined) {
      return this.#rewrite(known.addresses, text).then((rewritten) => this.#write(rewritten));
    }
    this.#write(text);
    return undefined;
  }

  /** Some headers tell the log, or us, something. */
  #note(name: string, text: string): void {
    const message = this.#message;
    if (name === 'received') {
      this.#hops += 1;
      if (this.#hops < message.settings.parameters.hopcount_limit || message.errors !== 0) return;
      message.warn('message rejected: hopcount exceeded');
      message.fail(STATUS.HOPS);
    } else if (name === 'message-id' || name === 'resent-message-id') {
      const messageId = toLogText(textAfterColon(text).trim());
      if (messageId === '') message.info({ kind: 'text', queueId: message.id, text: `${name}=` });
      else {
        const resent = name !== 'message-id';
        message.info({ kind: 'message-id', queueId: message.id, messageId, resent });
      }
    }
  }

  async #rewrite(kind: 'sender' | 'recipient', text: string): Promise<string> {
    const message = this.#message;
    const { rewriting } = message.surroundings;
    const context = message.headerContext ?? 'local';
    const place = kind === 'sender' ? 'header_sender' : 'header_recipient';
    const maps = message.has(FLAG.MAP_OK) && rewriting.maps(place);
    return rewriteHeader(
      text,
      async (external) => {
        const complete = await rewriting.external(context, external);
        return maps ? rewriting.mapExternal(message, place, complete) : complete;
      },
      {
        tokenLimit: message.settings.parameters.header_address_token_limit,
        onStrip: (stripped) =>
          message.warn(`stripping too many comments from address: ${stripped.slice(0, 100)}...`),
      },
    );
  }

  #write(text: string): void {
    writeHeader(this.#message, text);
  }
}

/** A full name in front of an address: as it is when it is made of atoms, else quoted. */
function phrase(fullName: string): string {
  const name = fullName.replace(/[\r\n]/g, ' ');
  const words: string[] = [];
  for (let word = scan(name); word !== undefined; word = word.next) {
    if (word.kind !== 'atom') return `"${name.replace(/["\\]/g, '\\$&')}" `;
    words.push(word.text);
  }
  return words.map((word) => `${word} `).join('');
}

function lowerName(header: string): string {
  return header.slice(0, headerNameLength(header)).toLowerCase();
}

function textAfterColon(header: string): string {
  return header.slice(header.indexOf(':') + 1);
}
