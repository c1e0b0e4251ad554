/** The tables of check_*_access: which keys they are asked for, and in which order. access(5). */
import { RESOLVE, type Resolution } from '../../lib/clients/rewrite.ts';
import {
  type AddressKey,
  addressKeys,
  domainKeys,
  type FoundAddress,
  search,
} from '../../lib/table/address-search.ts';
import { TableError } from '../../lib/table/table.ts';
import type { TableList } from '../../lib/table/table-list.ts';
import { actOn } from './access-action.ts';
import type { Facts, Knowledge, Rule, Settings } from './rule.ts';
import { DUNNO, lookupFailure, reject, rejected, type Subject, type Verdict } from './verdict.ts';

/** One table, opened for a restriction. */
export interface AccessTable {
  readonly tables: TableList;
  /** `example.com` is asked for its subdomains, else `.example.com`. */
  readonly parents: 'parents' | 'dot-parents';
  /** Reads restrictions that stand in the table. */
  readonly refer: (restrictions: string) => readonly Rule[];
}

/** One question to a table. */
export interface AccessQuery {
  /** What a refusal names. */
  readonly subject: Subject;
  readonly facts: Facts;
  readonly knowledge: Knowledge;
}

/**
 * Asks for the keys in turn: the first that is found decides, whatever it says. It waits only when a
 * table does.
 */
export function checkKeys(
  { tables, refer }: AccessTable,
  keys: readonly AddressKey[],
  { subject, facts, knowledge }: AccessQuery,
): Verdict | undefined | Promise<Verdict | undefined> {
  const act = (found: FoundAddress | undefined) =>
    found && actOn(found, { subject, facts, settings: knowledge.settings, refer });
  const fail = (error: unknown) => {
    if (!(error instanceof TableError)) throw error;
    return reject(451, '4.3.5', rejected(subject, 'Server configuration error'), {
      because: error.message,
    });
  };
  try {
    const found = search(tables, keys);
    return found instanceof Promise ? found.then(act).catch(fail) : act(found);
  } catch (error) {
    return fail(error);
  }
}

/** The verdict on the first of the keys that a table has, else one that says that it has none. */
export function checkAll(
  table: AccessTable,
  keys: () => readonly AddressKey[],
  query: AccessQuery,
): Verdict | Promise<Verdict> {
  const verdict = checkKeys(table, keys(), query);
  if (verdict instanceof Promise) return verdict.then((known) => known ?? noEntry(keys));
  return verdict ?? noEntry(keys);
}

/** No table of a restriction has any of the keys: what they were, should anybody ask. */
function noEntry(keys: () => readonly AddressKey[]): Verdict {
  return {
    kind: 'dunno',
    because: () =>
      `no entry for ${keys()
        .map(({ key }) => key)
        .join(', ')}`,
  };
}

/** A client: by its name and the domains that is in, then by its address and its networks. */
export function clientKeys(name: string, address: string, { parents }: AccessTable): AddressKey[] {
  return [...hostKeys(name, parents), ...networkKeys(address)];
}

/** A host's name, and the domains it is in. */
export function hostKeys(name: string, parents: 'parents' | 'dot-parents'): AddressKey[] {
  return domainKeys(name, parents).map((key, at) => keyOf(key, at > 0));
}

/** `192.0.2.1`, `192.0.2`, `192.0`, `192`; of IPv6 the groups as they are written. */
export function networkKeys(address: string): AddressKey[] {
  const separator = address.includes(':') ? ':' : '.';
  const keys = [keyOf(address, false)];
  for (let end = address.lastIndexOf(separator); end >= 0; ) {
    const key = address.slice(0, end);
    keys.push(keyOf(key, true));
    end = key.lastIndexOf(separator);
  }
  return keys;
}

/** One key, and no part of it. */
export function wholeKey(key: string): AddressKey[] {
  return [keyOf(key, false)];
}

function keyOf(key: string, partial: boolean): AddressKey {
  return { key, partial, extension: '', ownDomainOnly: false };
}

/** An address: as it is, without extension, its domain, and its local part. */
export function checkAddress(
  table: AccessTable,
  address: string,
  route: Resolution | undefined,
  query: AccessQuery,
): Verdict | Promise<Verdict> {
  if (route === undefined) return DUNNO;
  const { settings } = query.knowledge;
  const { flags, recipient } = route;
  if ((flags & RESOLVE.FAIL) !== 0) return lookupFailure(address, 'a table has no answer');
  if (!recipient.includes('@')) return DUNNO;
  // Whoever writes a route into an address wants to get past somebody.
  const isRouted = (flags & RESOLVE.ROUTED) !== 0 && !settings.allow_untrusted_routing;
  if (isRouted && query.subject.kind === 'recipient') return DUNNO;
  return checkAll(table, () => mailKeys(recipient, table, settings), query);
}

function mailKeys(
  address: string,
  { parents }: AccessTable,
  { recipient_delimiter, double_bounce_sender }: Settings,
): readonly AddressKey[] {
  return addressKeys(address, {
    delimiters: recipient_delimiter,
    bareUser: 'never',
    atDomain: false,
    domain: parents,
    userAt: true,
    unsplit: [double_bounce_sender.toLowerCase()],
  });
}
