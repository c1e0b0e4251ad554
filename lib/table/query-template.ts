/** `%s %u %d %1 ...` in the query and the result of a table that is a database. sqlite_table(5) */
import { TableOpenError } from './definition.ts';

/** A piece of a template: text, or the letter or digit behind a percent sign. */
type Piece = { readonly text: string } | { readonly letter: string };

export interface QueryTemplate {
  readonly pieces: readonly Piece[];
  /** How many labels of the key's domain it names. */
  readonly labels: number;
  uses(letters: string): boolean;
}

/**
 * Takes a template apart.
 *
 * @param where the file, and `what` the template is, for the message
 * @throws {TableOpenError}
 */
export function parseTemplate(
  text: string,
  where: string,
  what: 'query' | 'result',
): QueryTemplate {
  const pieces: Piece[] = [];
  let letters = '';
  let labels = 0;
  for (const [whole, letter] of text.matchAll(/%([\s\S]?)|[^%]+/g)) {
    if (letter === undefined) pieces.push({ text: whole });
    else if (letter === '%') pieces.push({ text: '%' });
    else if (letter !== '' && 'sudSUD123456789'.includes(letter)) {
      pieces.push({ letter });
      letters += letter;
      labels = Math.max(labels, Number(letter) || 0);
    } else {
      throw new TableOpenError(`db_common_parse: ${where}: Invalid ${what} template: ${text}`);
    }
  }
  const uses = (wanted: string) => [...wanted].some((letter) => letters.includes(letter));
  return { pieces, labels, uses };
}

/** A mail address, or anything else, in its parts. */
interface Parts {
  readonly whole: string;
  readonly user: string;
  /** What follows the last `@`; undefined when there is none. */
  readonly domain: string | undefined;
}

function partsOf(whole: string): Parts {
  const at = whole.lastIndexOf('@');
  if (at < 0) return { whole, user: whole, domain: undefined };
  return { whole, user: whole.slice(0, at), domain: whole.slice(at + 1) };
}

/** Whether text has all that `user` and `domain` would show of it. */
function isComplete({ user, domain }: Parts, needsUser: boolean, needsDomain: boolean): boolean {
  if (needsDomain && (domain === undefined || domain === '')) return false;
  return !(needsUser && domain !== undefined && user === '');
}

/** The two templates of a table, and a key's way through them. */
export class QueryTemplates {
  readonly #query: QueryTemplate;
  readonly #result: QueryTemplate;
  readonly #labels: number;

  constructor(query: QueryTemplate, result: QueryTemplate) {
    this.#query = query;
    this.#result = result;
    this.#labels = Math.max(query.labels, result.labels);
  }

  /**
   * The query for a key, each part of it through `quote`.
   *
   * @returns `undefined` when the key lacks a part that either template wants: then the database
   *   is not asked
   */
  query(key: string, quote: (text: string) => string): string | undefined {
    const parts = partsOf(key);
    const [query, result] = [this.#query, this.#result];
    const needsUser = query.uses('uU') || result.uses('U');
    const needsDomain = query.uses('dD') || result.uses('D');
    if (!isComplete(parts, needsUser, needsDomain)) return undefined;
    const labels = this.#labelsOf(parts);
    return labels && expand(query, parts, parts, labels, quote);
  }

  /** @returns `undefined` when the value lacks a part that the format wants */
  result(value: string, key: string): string | undefined {
    const parts = partsOf(value);
    const result = this.#result;
    if (!isComplete(parts, result.uses('u'), result.uses('d'))) return undefined;
    const keyParts = partsOf(key);
    const labels = this.#labelsOf(keyParts);
    return labels && expand(result, parts, keyParts, labels, (text) => text);
  }

  /** The domain's labels from the right; undefined when there are too few, or empty ones. */
  #labelsOf({ domain }: Parts): string[] | undefined {
    if (this.#labels === 0) return [];
    const labels = (domain ?? '').split('.').reverse().slice(0, this.#labels);
    return labels.length < this.#labels || labels.includes('') ? undefined : labels;
  }
}

function expand(
  { pieces }: QueryTemplate,
  value: Parts,
  key: Parts,
  labels: readonly string[],
  quote: (text: string) => string,
): string {
  const letters: Readonly<Record<string, string | undefined>> = {
    s: value.whole,
    u: value.user,
    d: value.domain,
    S: key.whole,
    U: key.user,
    D: key.domain,
  };
  return pieces
    .map((piece) => {
      if ('text' in piece) return piece.text;
      const { letter } = piece;
      return quote((/\d/.test(letter) ? labels[Number(letter) - 1] : letters[letter]) ?? '');
    })
    .join('');
}
