/** postscreen_dnsbl_sites: lists in the DNS, which of their answers count, and for how much. Pure. */
import { isHostname } from '../../lib/dns/domain.ts';
import { parseListFilter } from '../../lib/dns/list-filter.ts';
import { FatalError } from '../../lib/log/fatal.ts';

/** `list.example=127.0.0.[2..11]*3` */
export interface ListSite {
  readonly domain: string;
  /** Which answers count. */
  readonly matches: (address: string) => boolean;
  /** Less than nothing speaks for a client. */
  readonly weight: number;
}

/** @throws {FatalError} when it is none */
export function parseListSite(text: string): ListSite {
  const [head = '', factor] = splitAt(text, '*');
  const [domain = '', filter] = splitAt(head, '=');
  if (factor !== undefined && !/^[ \t]*[-+]?\d{1,9}$/.test(factor)) {
    throw new FatalError(`bad DNSBL weight factor "${factor}" in "${text}"`);
  }
  if (!isHostname(domain)) throw new FatalError(`bad DNSBL domain name "${domain}" in "${text}"`);
  return {
    domain,
    matches: filter === undefined ? () => true : parseListFilter(filter),
    weight: factor === undefined ? 1 : Number(factor),
  };
}

function splitAt(text: string, mark: string): [string, string?] {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** What the lists say of a client, so far. */
export interface Score {
  readonly total: number;
  /** The list that weighs most; a refusal names it. */
  readonly domain: string;
  /** Seconds that this may be remembered; `undefined`: no list says. */
  readonly ttl: number | undefined;
}

/** Adds up what lists answer. */
export class ScoreSum {
  #total = 0;
  #heaviest: ListSite | undefined;
  /** The shortest times of what speaks for a client, and of what speaks against it. */
  #passTtl: number | undefined;
  #failTtl: number | undefined;

  /** @param sites those of one domain; a site counts once, however many answers match */
  add(sites: readonly ListSite[], addresses: readonly string[], ttl: number): void {
    for (const site of sites) {
      const isListed = addresses.some((address) => site.matches(address));
      if (isListed) {
        this.#total += site.weight;
        if (this.#heaviest === undefined || this.#heaviest.weight < site.weight) {
          this.#heaviest = site;
        }
      }
      // Postfix, too, makes the least of what nobody said.
      const seconds = Math.max(ttl, 0);
      const isAgainst = isListed === site.weight > 0;
      if (isAgainst) this.#failTtl = Math.min(this.#failTtl ?? seconds, seconds);
      else this.#passTtl = Math.min(this.#passTtl ?? seconds, seconds);
    }
  }

  get score(): Score {
    return {
      total: this.#total,
      domain: this.#heaviest?.domain ?? '',
      ttl: this.#total > 0 ? this.#failTtl : this.#passTtl,
    };
  }
}
