/**
 * Reads the records of a message before they are taken, only to know which lines its checks will
 * ask for, so that all of a piece of the message go to the threads together. It may ask for more
 * than is needed in the end (a rule can end all checks), never for less.
 */
import { CheckAnswers } from '../../lib/message/check-answers.ts';
import { CheckRoute } from '../../lib/message/checks.ts';
import { MimeParser } from '../../lib/message/mime.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { RecordParser } from '../../lib/queue/record-parser.ts';
import type { LookupThreads } from '../../lib/table/lookup-threads.ts';
import { cleanText } from './characters.ts';
import { checkedText } from './checks.ts';
import type { Message } from './message.ts';

const DASH = 0x2d;

export class LookAhead {
  readonly #message: Message;
  readonly #answers: CheckAnswers;
  readonly #parser: RecordParser;
  readonly #mime: MimeParser;
  readonly #route: CheckRoute;
  #stage: 'envelope' | 'content' | 'done' = 'envelope';

  constructor(message: Message, threads: LookupThreads, recordBytesMax: number) {
    const { settings, surroundings } = message;
    this.#message = message;
    this.#answers = new CheckAnswers(threads, surroundings.log);
    message.answers = this.#answers;
    this.#parser = new RecordParser(recordBytesMax);
    this.#mime = new MimeParser(settings.mime);
    this.#route = new CheckRoute(settings.checks, settings.parameters.body_checks_size_limit);
  }

  /**
   * Fetches the answers for the lines in this chunk.
   *
   * @throws {RecordError} when it is damaged
   */
  async push(chunk: Buffer): Promise<void> {
    if (this.#stage === 'done') return;
    const parser = this.#parser;
    parser.push(chunk);
    while (this.#isOpen && parser.next()) this.#record(parser);
    await this.#answers.fetch();
  }

  get #isOpen(): boolean {
    return this.#stage !== 'done';
  }

  #record(parser: RecordParser): void {
    const { type } = parser;
    if (this.#stage === 'envelope') {
      if (type === RECORD.message) this.#stage = 'content';
      // What follows is no records: milters, up to the end of the chunk.
      if (type === RECORD.milterCount) parser.takeRest();
    } else if (type === RECORD.text || type === RECORD.longText) {
      this.#line(parser, type === RECORD.longText);
    } else {
      this.#stage = 'done';
      this.#want(this.#mime.end());
    }
  }

  #line(parser: RecordParser, continued: boolean): void {
    const { bytes, start, end } = parser;
    const isBoundary = bytes[start] === DASH && bytes[start + 1] === DASH;
    const { settings } = this.#message;
    if (this.#mime.wantsBoundariesOnly && !isBoundary && settings.checks.body === undefined) {
      this.#mime.skipped(continued);
      return;
    }
    const text = cleanText(bytes.toString('latin1', start, end), {
      strip: settings.stripCharacters,
      replaceStray: settings.parameters.cleanup_replace_stray_cr_lf,
    });
    this.#want(this.#mime.line(text, continued));
  }

  #want(events: ReturnType<MimeParser['line']>): void {
    for (const event of events) {
      const tables = this.#route.tablesFor(event);
      if (tables === undefined || (event.kind !== 'header' && event.kind !== 'body')) continue;
      this.#answers.want(tables, checkedText(event));
    }
  }
}
