/**
 * The content of a message: headers one by one, body lines as many at once as nobody has to look at.
 */
import { CheckRoute } from '../../lib/message/checks.ts';
import {
  MIME_ERROR_TEXT,
  type MimeError,
  type MimeEvent,
  MimeParser,
} from '../../lib/message/mime.ts';
import { RECORD } from '../../lib/queue/record.ts';
import type { RecordParser } from '../../lib/queue/record-parser.ts';
import type { TableList } from '../../lib/table/table.ts';
import { cleanText, hasCharacters } from './characters.ts';
import { checkLine, logAction, rejectLine, untilNul } from './checks.ts';
import { HeaderWriter } from './headers.ts';
import type { Message } from './message.ts';
import { FLAG, STATUS } from './protocol.ts';

const CR = 0x0d;
const LF = 0x0a;
const DASH = 0x2d;

export class ContentReader {
  readonly #message: Message;
  readonly #mime: MimeParser;
  readonly #headers: HeaderWriter;
  readonly #lineLimit: number;
  readonly #replacesStray: boolean;
  /** The last line has no end yet. */
  #continued = false;
  #started = false;
  readonly #route: CheckRoute;

  constructor(message: Message) {
    const { parameters, mime } = message.settings;
    this.#message = message;
    this.#lineLimit = parameters.line_length_limit;
    this.#replacesStray = parameters.cleanup_replace_stray_cr_lf;
    this.#headers = new HeaderWriter(message);
    this.#route = new CheckRoute(message.settings.checks, parameters.body_checks_size_limit);
    this.#mime = new MimeParser(mime);
  }

  /**
   * Copies records from the current one on as they are, as long as they are body lines that nobody
   * has to look at.
   *
   * @returns whether the current record is still to do; else the parser has no more
   */
  skim(parser: RecordParser): boolean {
    const message = this.#message;
    if (!this.#mime.wantsBoundariesOnly || this.#looksAtBody) return true;
    const boundaries = !this.#mime.isOpaque;
    let { bytes, recordStart: from, recordStart: to } = parser;
    let stray = this.#nextStray(bytes, from);
    for (;;) {
      const { type, start, end } = parser;
      if (parser.bytes !== bytes) {
        this.#copy(bytes, from, to);
        ({ bytes, recordStart: from } = parser);
        stray = this.#nextStray(bytes, from);
      }
      if (stray < start) stray = this.#nextStray(bytes, start);
      const plain =
        (type === 'N' || type === 'L') &&
        end - start <= this.#lineLimit &&
        stray >= end &&
        !(boundaries && !this.#continued && bytes[start] === DASH && bytes[start + 1] === DASH);
      if (!plain) {
        this.#copy(bytes, from, parser.recordStart);
        return true;
      }
      this.#continued = type === 'L';
      to = end;
      if (!parser.next()) break;
    }
    this.#copy(bytes, from, to);
    message.checkSize();
    return false;
  }

  /** Takes one record that nobody skimmed. A promise is to be waited for. */
  record(type: string, data: string): Promise<void> | undefined {
    const message = this.#message;
    if (type !== RECORD.text && type !== RECORD.longText) {
      message.reject(`unexpected record type ${type.charCodeAt(0)} in message content`);
      return undefined;
    }
    const text = this.#clean(data);
    if (text === undefined) return undefined;
    const continued = type === RECORD.longText;
    if (!this.#started) this.#begin(text);
    this.#mime.skipped(this.#continued);
    this.#continued = continued;
    return this.#handle(this.#mime.line(text, continued));
  }

  /** The content is over. */
  async end(): Promise<void> {
    const message = this.#message;
    // Readers join pieces of a line; the last one has to end. A header's are one already.
    const open = this.#continued && !this.#mime.inPrimaryHeaders;
    await this.#handle(this.#mime.end());
    if (open) message.put(RECORD.text);
  }

  get #looksAtBody(): boolean {
    const { settings } = this.#message;
    if (!this.#message.has(FLAG.FILTER)) return false;
    return (
      settings.checks.body !== undefined ||
      settings.rejectCharacters !== undefined ||
      settings.stripCharacters !== undefined
    );
  }

  /** A first line that continues a header which is not there is no header. */
  #begin(text: string): void {
    this.#started = true;
    if (text.startsWith(' ') || text.startsWith('\t')) this.#message.put(RECORD.text);
  }

  #copy(bytes: Buffer, from: number, to: number): void {
    if (to > from && this.#message.writes) this.#message.output.raw(bytes, from, to);
  }

  /** Where the next CR or LF is that may be inside a line: lengths look like them, too. */
  #nextStray(bytes: Buffer, from: number): number {
    if (!this.#replacesStray) return Number.POSITIVE_INFINITY;
    const cr = bytes.indexOf(CR, from);
    const lf = bytes.indexOf(LF, from);
    return Math.min(cr < 0 ? Number.POSITIVE_INFINITY : cr, lf < 0 ? Number.POSITIVE_INFINITY : lf);
  }

  /** @returns undefined when the line makes the message one that we refuse */
  #clean(data: string): string | undefined {
    const message = this.#message;
    const { rejectCharacters, stripCharacters } = message.settings;
    const filters = message.has(FLAG.FILTER);
    if (filters && rejectCharacters !== undefined && hasCharacters(data, rejectCharacters)) {
      rejectLine(message, 'content', data, '5.7.1 disallowed character');
      return undefined;
    }
    return cleanText(data, {
      strip: filters ? stripCharacters : undefined,
      replaceStray: this.#replacesStray,
    });
  }

  #handle(events: readonly MimeEvent[], from = 0): Promise<void> | undefined {
    for (let at = from; at < events.length; at += 1) {
      const event = events[at] as MimeEvent;
      if (event.kind === 'headers-end' && this.#isHopeless) return undefined;
      const pending = this.#event(event);
      if (pending !== undefined) return pending.then(() => this.#handle(events, at + 1));
    }
    return undefined;
  }

  /** Its headers are wrong in a way that nothing added to them mends. */
  get #isHopeless(): boolean {
    return (this.#message.errors & (STATUS.HOPS | STATUS.BAD)) !== 0;
  }

  #event(event: MimeEvent): Promise<void> | undefined {
    const message = this.#message;
    const route = this.#route.tablesFor(event);
    const tables = message.has(FLAG.FILTER) ? route : undefined;
    switch (event.kind) {
      case 'header':
        return this.#headers.header(event.of, untilNul(event.text), tables);
      case 'headers-end':
        if (this.#headers.hops === 0) message.reject('no Received: header');
        else this.#headers.addMissing();
        if (message.hooks !== undefined) message.hooks.headers = message.placeHook();
        return undefined;
      case 'body':
        return this.#body(event.text, event.continued, tables);
      case 'error':
        this.#mimeError(event.error, event.text);
        return undefined;
    }
  }

  #body(
    given: string,
    continued: boolean,
    tables: TableList | undefined,
  ): Promise<void> | undefined {
    const type = continued ? RECORD.longText : RECORD.text;
    if (tables !== undefined) return this.#checkBody(tables, type, given);
    this.#message.put(type, given);
    return undefined;
  }

  async #checkBody(tables: TableList, type: string, given: string): Promise<void> {
    const message = this.#message;
    const verdict = await checkLine(message, tables, { part: 'body', text: given });
    if (verdict.before !== undefined) message.put(RECORD.text, verdict.before);
    if (verdict.text !== undefined) message.put(type, verdict.text);
  }

  /** A header that is too long is cut, and that is all. */
  #mimeError(error: MimeError, text: string): void {
    const message = this.#message;
    if (error === 'header-length' || (message.errors & STATUS.CONT) !== 0) return;
    const what = MIME_ERROR_TEXT[error];
    message.fail(STATUS.CONT, `5.6.0 ${what}`);
    logAction(message, 'reject', `mime-error ${what}:`, text, '');
  }
}
