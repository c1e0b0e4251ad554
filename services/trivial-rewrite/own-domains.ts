/** The domains that are this machine: mydestination, and the addresses it listens on. */
import type { MatchList } from '../../lib/config/match-list.ts';
import { type AddressWords, parseAddress } from '../../lib/table/network.ts';
import { literalAddress } from './domain.ts';

export class OwnDomains {
  readonly #destinations: MatchList;
  readonly #addresses: readonly AddressWords[];

  /** @param addresses of inet_interfaces and proxy_interfaces */
  constructor(destinations: MatchList, addresses: readonly string[]) {
    this.#destinations = destinations;
    this.#addresses = addresses.flatMap((address) => {
      const words = parseAddress(address);
      return words === undefined ? [] : [words];
    });
  }

  /** Whether mail for `domain` ends here: what decided, or undefined. @throws when a table is in trouble */
  async match(domain: string): Promise<string | undefined> {
    const name = domain.endsWith('.') ? domain.slice(0, -1) : domain;
    if (name === '' || name.endsWith('.')) return undefined;
    const { matched, pattern } = await this.#destinations.matchText(name);
    if (matched) return `mydestination: ${pattern}`;
    return this.#isOwnAddress(name) ? `inet_interfaces: ${name}` : undefined;
  }

  #isOwnAddress(literal: string): boolean {
    const address = literalAddress(literal);
    const words = address === undefined ? undefined : parseAddress(address);
    if (words === undefined) return false;
    return this.#addresses.some(
      (own) => own.length === words.length && own.every((word, at) => word === words[at]),
    );
  }
}
