/** What the built-in engine offers after EHLO: nothing that would need it to take mail. */
import { FatalError } from '../../lib/log/fatal.ts';
import type { Log } from '../../lib/log/log.ts';
import { parseDiscardedKeywords } from '../../lib/smtp/discarded-keywords.ts';
import { TableError, type TableList } from '../../lib/table/table.ts';

export interface KeywordSettings {
  readonly message_size_limit: number;
  readonly myhostname: string;
  readonly postscreen_discard_ehlo_keywords: string;
  readonly disable_vrfy_command: boolean;
  readonly smtputf8_enable: boolean;
}

export class Keywords {
  readonly #settings: KeywordSettings;
  readonly #exceptions: TableList;
  readonly #log: Log;
  readonly #usual: ReadonlySet<string>;

  /** @param exceptions postscreen_discard_ehlo_keyword_address_maps */
  constructor(settings: KeywordSettings, exceptions: TableList, log: Log) {
    this.#settings = settings;
    this.#exceptions = exceptions;
    this.#log = log;
    const usual = settings.postscreen_discard_ehlo_keywords;
    this.#usual = parseDiscardedKeywords(usual, (text) => log.warn(text));
  }

  /** The words that a client is not offered. @throws {FatalError} when a table is in trouble */
  async discardedFor(address: string, port: string): Promise<ReadonlySet<string>> {
    const own = await this.#ownOf(address);
    if (own === undefined) return this.#usual;
    if (own.size > 0 && !own.has('silent-discard')) {
      const words = [...own].join(' ').toUpperCase();
      this.#log.info(`[${address}]${port}: discarding EHLO keywords: ${words}`);
    }
    return own;
  }

  /** The reply to EHLO. */
  format(discarded: ReadonlySet<string>, offersTls: boolean): readonly string[] {
    const lines = [this.#settings.myhostname, ...this.#offers(discarded, offersTls)];
    return lines.map((line, at) => `250${at === lines.length - 1 ? ' ' : '-'}${line}`);
  }

  /** What a table says of a client. */
  async #ownOf(address: string): Promise<ReadonlySet<string> | undefined> {
    try {
      const found = await this.#exceptions.lookup(address);
      return found === undefined ? undefined : parseDiscardedKeywords(found.value);
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      throw new FatalError(`${this.#exceptions.parameter} lookup error for ${address}`);
    }
  }

  #offers(discarded: ReadonlySet<string>, offersTls: boolean): string[] {
    const { message_size_limit: size, smtputf8_enable } = this.#settings;
    const offers: [word: string, line: string, isOffered: boolean][] = [
      ['size', size === 0 ? 'SIZE' : `SIZE ${size}`, true],
      ['vrfy', 'VRFY', !this.#settings.disable_vrfy_command],
      ['etrn', 'ETRN', true],
      ['starttls', 'STARTTLS', offersTls],
      ['enhancedstatuscodes', 'ENHANCEDSTATUSCODES', true],
      ['8bitmime', '8BITMIME', true],
      ['dsn', 'DSN', true],
      ['smtputf8', 'SMTPUTF8', smtputf8_enable],
      ['chunking', 'CHUNKING', true],
    ];
    return offers
      .filter(([word, , isOffered]) => isOffered && !discarded.has(word))
      .map(([, line]) => line);
  }
}
