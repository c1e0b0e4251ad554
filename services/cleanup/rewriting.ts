/**
 * Addresses as they will stand in the queue file: completed (rewrite service), mapped (canonical
 * tables) and masqueraded. Byte strings in and out.
 */
import { quote, unquote } from '../../lib/address/address.ts';
import { externalAddressesIn } from '../../lib/address/list.ts';
import type { RewriteClient } from '../../lib/clients/rewrite.ts';
import { fromText, onText, toText } from '../../lib/message/byte-string.ts';
import { addressKeys, type FoundAddress, search } from '../../lib/table/address-search.ts';
import { TableError, type TableList } from '../../lib/table/table.ts';
import { masquerade } from './masquerade.ts';
import type { Message } from './message.ts';
import { describeNesting, type MapStep } from './nesting.ts';
import { STATUS } from './protocol.ts';
import type { AddressPlace, PlacedTables, Settings } from './settings.ts';

export type RewriteContext = 'local' | 'remote';

/** Who is told of trouble with a table. */
export type Troubled = Pick<Message, 'warn' | 'fail'>;

/** canonical tables may answer with another key of theirs: so many times. */
const CANONICAL_NESTING_MAX = 1000;

export class Rewriting {
  readonly #settings: Settings;
  readonly #client: Pick<RewriteClient, 'rewrite'>;

  constructor(settings: Settings, client: Pick<RewriteClient, 'rewrite'>) {
    this.#settings = settings;
    this.#client = client;
  }

  /** Completes an address in external form. */
  external(context: RewriteContext, address: string): Promise<string> {
    return onText(address, (text) => this.#client.rewrite(context, text));
  }

  /** Completes an address in internal form; the null address stays as it is. */
  async internal(context: RewriteContext, address: string): Promise<string> {
    if (address === '') return '';
    return unquote(await this.external(context, quote(address)));
  }

  /** Maps an address in internal form as main.cf wants it for a place. */
  async map(message: Troubled, place: AddressPlace, address: string): Promise<string> {
    const { senderCanonical, recipientCanonical, canonical } = this.#settings;
    const own = place.endsWith('sender') ? senderCanonical : recipientCanonical;
    let result = address;
    if (own?.places.has(place)) result = await this.#canonical(message, own, result);
    if (canonical?.places.has(place)) result = await this.#canonical(message, canonical, result);
    const { masquerade: rules, masqueradePlaces } = this.#settings;
    if (rules !== undefined && masqueradePlaces.has(place)) result = masquerade(result, rules);
    return result;
  }

  /** The same for an address in external form. */
  async mapExternal(message: Troubled, place: AddressPlace, address: string): Promise<string> {
    return quote(await this.map(message, place, unquote(address)));
  }

  /** Whether `map` could change anything in a place. */
  maps(place: AddressPlace): boolean {
    const { senderCanonical, recipientCanonical, canonical, masquerade: rules } = this.#settings;
    const own = place.endsWith('sender') ? senderCanonical : recipientCanonical;
    return (
      own?.places.has(place) === true ||
      canonical?.places.has(place) === true ||
      (rules !== undefined && this.#settings.masqueradePlaces.has(place))
    );
  }

  async #canonical(message: Troubled, { tables }: PlacedTables, address: string): Promise<string> {
    const propagate = this.#settings.propagate.has('canonical');
    let result = address;
    const way: MapStep[] = [];
    while (way.length < CANONICAL_NESTING_MAX) {
      const found = await this.lookup(message, tables, result);
      if (found === undefined) return result;
      way.push({ address: result, found });
      const before = result.toLowerCase();
      const [first, ...others] = await this.expand(found, result, propagate);
      if (others.length > 0) {
        message.warn(`multi-valued ${tables.parameter} entry for ${address}`);
      }
      result = unquote(first ?? '');
      if (result.toLowerCase() === before) return result;
      // Where it came from: it would go round for ever.
      if (result.toLowerCase() === address.toLowerCase()) break;
    }
    message.warn(`${tables.parameter}: ${describeNesting(way, result)}`);
    // Postfix says so, and accepts it all the same.
    message.warn(
      `unreasonable ${tables.parameter} map nesting for ${address} -- message not accepted, try again later`,
    );
    return result;
  }

  /**
   * Looks an internal address up, under all the keys it may be known by. Trouble with a table is
   * the message's trouble: it is not accepted now.
   */
  async lookup(
    message: Troubled,
    tables: TableList,
    address: string,
  ): Promise<FoundAddress | undefined> {
    const text = toText(address);
    if (text === undefined || text === '') return undefined;
    const ownDomain = () => this.#settings.isOwnDomain(text.slice(text.lastIndexOf('@') + 1));
    try {
      return await search(tables, addressKeys(text, this.#settings.addressKeys), ownDomain);
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      message.warn(
        `${tables.parameter} map lookup problem for ${address} -- message not accepted, try again later`,
      );
      message.fail(STATUS.WRITE);
      return undefined;
    }
  }

  /** The addresses a table answered with, external, completed; with the extension it did not know. */
  async expand(found: FoundAddress, address: string, propagate: boolean): Promise<string[]> {
    const { extension } = found;
    let value = fromText(found.value);
    if (value.startsWith('@')) {
      const at = address.lastIndexOf('@');
      const local = at < 0 ? address : address.slice(0, at);
      value = quote(local.slice(0, local.length - extension.length) + value);
    }
    const results: string[] = [];
    for (const one of externalAddressesIn(value)) {
      const complete = await this.external('local', one);
      const keep = propagate && extension !== '';
      results.push(keep ? quote(withExtension(unquote(complete), fromText(extension))) : complete);
    }
    return results;
  }
}

function withExtension(address: string, extension: string): string {
  const at = address.lastIndexOf('@');
  if (at < 0) return address + extension;
  return address.slice(0, at) + extension + address.slice(at);
}
