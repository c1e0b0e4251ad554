/** What EHLO offers, and what it keeps quiet about. smtp-replies.md 2.1. */

import type { ParameterRules } from '../../lib/smtp/arguments.ts';
import { parseDiscardedKeywords } from '../../lib/smtp/discarded-keywords.ts';
import { TableError, type TableList } from '../../lib/table/table.ts';
import { ATTRIBUTES } from './client-attributes.ts';

/** The parameters that decide. */
export interface KeywordSettings {
  readonly disable_vrfy_command: boolean;
  readonly message_size_limit: number;
  readonly smtpd_discard_ehlo_keywords: string;
  readonly smtpd_sasl_auth_enable: boolean;
  readonly smtputf8_enable: boolean;
  /** There is TLS to start. */
  readonly offersTls: boolean;
  readonly verp_delimiter_filter: string;
}

/** What a client is offered, and may use. */
export interface Offer {
  /** `SIZE 10240000`, each for a line of the reply. */
  readonly keywords: readonly string[];
  readonly rules: ParameterRules;
  /** AUTH; its lines stand where `keywords` has this word. */
  readonly auth: boolean;
  /** BDAT. */
  readonly chunking: boolean;
  /** STARTTLS; its line goes away with TLS. */
  readonly starttls: boolean;
  /** For the log: what was left out; '' when nobody wants to know. */
  readonly discarded: string;
}

/** What only some clients may use. */
export interface Privileges {
  readonly verp: boolean;
  readonly xclient: boolean;
  readonly xforward: boolean;
}

/** Said only as long as there is no TLS. */
export const STARTTLS = 'STARTTLS';

const NO_PRIVILEGES: Privileges = { verp: false, xclient: false, xforward: false };

/** Where the lines of AUTH go: what they say is only known when a client asks. */
export const AUTH_PLACE = 'AUTH';

export class Keywords {
  readonly #settings: KeywordSettings;
  readonly #exceptions: TableList;
  readonly #warn: (text: string) => void;
  readonly #discarded: ReadonlySet<string>;
  /** For each set of privileges: nearly all clients have the same. */
  readonly #usual = new Map<string, Offer>();

  /** @param exceptions smtpd_discard_ehlo_keyword_address_maps: what is left out for an address */
  constructor(settings: KeywordSettings, exceptions: TableList, warn: (text: string) => void) {
    this.#settings = settings;
    this.#exceptions = exceptions;
    this.#warn = warn;
    this.#discarded = parseDiscardedKeywords(settings.smtpd_discard_ehlo_keywords, warn);
  }

  /** What is offered when no table has a say. */
  usualOffer(privileges = NO_PRIVILEGES): Offer {
    const { verp, xclient, xforward } = privileges;
    const key = `${verp} ${xclient} ${xforward}`;
    const known = this.#usual.get(key) ?? this.#offer(privileges, this.#discarded);
    this.#usual.set(key, known);
    return known;
  }

  /** @returns `undefined` when a table does not answer */
  async offerTo(address: string, privileges: Privileges): Promise<Offer | undefined> {
    if (this.#exceptions.tables.length === 0) return this.usualOffer(privileges);
    try {
      const found = await this.#exceptions.lookup(address);
      const discarded =
        found === undefined ? this.#discarded : parseDiscardedKeywords(found.value, this.#warn);
      return this.#offer(privileges, discarded);
    } catch (error) {
      if (error instanceof TableError) return undefined;
      throw error;
    }
  }

  #offer(privileges: Privileges, discarded: ReadonlySet<string>): Offer {
    const { smtputf8_enable, verp_delimiter_filter } = this.#settings;
    const isSilent = discarded.has('silent-discard') || discarded.has('enhancedstatuscodes');
    return {
      keywords: this.#keywords(privileges, discarded),
      rules: {
        dsn: !discarded.has('dsn'),
        smtputf8: smtputf8_enable && !discarded.has('smtputf8'),
        ...(privileges.verp ? { verpDelimiters: verp_delimiter_filter } : {}),
      },
      auth: this.#settings.smtpd_sasl_auth_enable && !discarded.has('auth'),
      chunking: !discarded.has('chunking'),
      starttls: this.#settings.offersTls && !discarded.has('starttls'),
      discarded: isSilent ? '' : [...discarded].join(' ').toUpperCase(),
    };
  }

  #keywords(privileges: Privileges, discarded: ReadonlySet<string>): string[] {
    const { message_size_limit: size, disable_vrfy_command, smtputf8_enable } = this.#settings;
    const { smtpd_sasl_auth_enable, offersTls } = this.#settings;
    const offers: [word: string, line: string, isOffered: boolean][] = [
      ['pipelining', 'PIPELINING', true],
      ['size', size === 0 ? 'SIZE' : `SIZE ${size}`, true],
      ['vrfy', 'VRFY', !disable_vrfy_command],
      ['etrn', 'ETRN', true],
      ['starttls', STARTTLS, offersTls],
      ['auth', AUTH_PLACE, smtpd_sasl_auth_enable],
      ['verp', 'XVERP', privileges.verp],
      ['xclient', `XCLIENT ${ATTRIBUTES.XCLIENT.join(' ')}`, privileges.xclient],
      ['xforward', `XFORWARD ${ATTRIBUTES.XFORWARD.join(' ')}`, privileges.xforward],
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
