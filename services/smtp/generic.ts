/** smtp_generic_maps: the addresses that the outside world sees in place of ours. */
import { quote, splitAddress, unquote } from '../../lib/address/address.ts';
import { addressKeys, search } from '../../lib/table/address-search.ts';
import type { TableList } from '../../lib/table/table-list.ts';

export interface GenericOptions {
  readonly tables: TableList;
  /** recipient_delimiter */
  readonly delimiters: string;
  readonly ownerRequestSpecial: boolean;
  /** An extension that the table did not know goes on to the new address. */
  readonly propagateExtension: boolean;
  readonly myorigin: string;
  isOwnDomain(domain: string): Promise<boolean>;
}

/**
 * @param address in internal form
 * @returns what it becomes; the same when no table knows it
 * @throws {TableError} when a table is in trouble
 */
export async function genericAddress(address: string, options: GenericOptions): Promise<string> {
  if (address === '') return address;
  const keys = addressKeys(address, {
    delimiters: options.delimiters,
    bareUser: 'own-domain',
    atDomain: true,
    ownerRequestSpecial: options.ownerRequestSpecial,
    quote,
  });
  const { local, domain } = splitAddress(address);
  const found = await search(options.tables, keys, () => options.isOwnDomain(domain));
  if (found === undefined) return address;
  const value = unquote(found.value.trim());
  // `@new.example` keeps the local part, extension and all.
  if (value.startsWith('@')) return local + value;
  const parts = splitAddress(value);
  const extension = options.propagateExtension ? found.extension : '';
  return `${parts.local}${extension}@${parts.domain === '' ? options.myorigin : parts.domain}`;
}
