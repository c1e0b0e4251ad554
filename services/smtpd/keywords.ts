/** What EHLO offers, and what it keeps quiet about. smtp-replies.md 2.1. */

import { splitList } from '../../lib/config/configuration.ts';
import type { ParameterRules } from '../../lib/smtp/arguments.ts';
import type { TableList } from '../../lib/table/table-list.ts';
import type { Client } from './transaction.ts';

/** The parameters that decide. */
export interface KeywordSettings {
  readonly disable_vrfy_command: boolean;
  readonly message_size_limit: number;
  readonly smtpd_discard_ehlo_keywords: string;
  readonly smtputf8_enable: boolean;
  readonly verp_delimiter_filter: string;
}

/** What a client is offered, and may use. */
export interface Offer {
  /** `SIZE 10240000`, each for a line of the reply. */
  readonly keywords: readonly string[];
  readonly rules: ParameterRules;
  /** For the log: what was left out; '' when nobody wants to know. */
  readonly discarded: string;
}

/** The words of smtpd_discard_ehlo_keywords, in the order of Postfix's log line. */
const DISCARDABLE = [
  '8bitmime',
  'auth',
  'chunking',
  'dsn',
  'enhancedstatuscodes',
  'etrn',
  'pipelining',
  'silent-discard',
  'size',
  'smtputf8',
  'starttls',
  'verp',
  'vrfy',
  'xclient',
  'xforward',
];

export class Keywords {
  readonly #settings: KeywordSettings;
  readonly #exceptions: TableList;
  readonly #warn: (text: string) => void;

  /** @param exceptions smtpd_discard_ehlo_keyword_address_maps: what is left out for an address */
  constructor(settings: KeywordSettings, exceptions: TableList, warn: (text: string) => void) {
    this.#settings = settings;
    this.#exceptions = exceptions;
    this.#warn = warn;
  }

  /** Before EHLO: everything may be used. */
  initialRules(client: Client): ParameterRules {
    return this.#rules(client, new Set());
  }

  /** @throws {TableError} when a table does not answer */
  async offerTo(client: Client): Promise<Offer> {
    const found = await this.#exceptions.lookup(client.address);
    const discarded = this.#parse(found?.value ?? this.#settings.smtpd_discard_ehlo_keywords);
    const isSilent = discarded.has('silent-discard') || discarded.has('enhancedstatuscodes');
    return {
      keywords: this.#keywords(client, discarded),
      rules: this.#rules(client, discarded),
      discarded: isSilent ? '' : [...discarded].join(' ').toUpperCase(),
    };
  }

  #parse(text: string): ReadonlySet<string> {
    const words = splitList(text.toLowerCase());
    for (const word of words) {
      if (!DISCARDABLE.includes(word)) this.#warn(`unknown EHLO keyword "${word}"`);
    }
    return new Set(DISCARDABLE.filter((word) => words.includes(word)));
  }

  #rules(client: Client, discarded: ReadonlySet<string>): ParameterRules {
    return {
      dsn: !discarded.has('dsn'),
      smtputf8: this.#settings.smtputf8_enable && !discarded.has('smtputf8'),
      ...(client.mayVerp ? { verpDelimiters: this.#settings.verp_delimiter_filter } : {}),
    };
  }

  #keywords(client: Client, discarded: ReadonlySet<string>): string[] {
    const { message_size_limit: size, disable_vrfy_command, smtputf8_enable } = this.#settings;
    const offers: [word: string, line: string, isOffered: boolean][] = [
      ['pipelining', 'PIPELINING', true],
      ['size', size === 0 ? 'SIZE' : `SIZE ${size}`, true],
      ['vrfy', 'VRFY', !disable_vrfy_command],
      ['etrn', 'ETRN', true],
      ['verp', 'XVERP', client.mayVerp],
      ['enhancedstatuscodes', 'ENHANCEDSTATUSCODES', true],
      ['8bitmime', '8BITMIME', true],
      ['dsn', 'DSN', true],
      ['smtputf8', 'SMTPUTF8', smtputf8_enable],
    ];
    return offers
      .filter(([word, , isOffered]) => isOffered && !discarded.has(word))
      .map(([, line]) => line);
  }
}
