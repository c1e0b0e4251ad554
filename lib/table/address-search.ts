/**
 * The keys under which tables may know an address or a domain, in Postfix's order. For each key all
 * tables are asked before the next key is tried.
 */
import type { Found, TableList } from './table-list.ts';

/** One key to ask for. */
export interface AddressKey {
  readonly key: string;
  /** Only a part of the address: regexp, cidr ... are not asked. */
  readonly partial: boolean;
  /** What was cut off the address to get this key: `+ext`, else empty. */
  readonly extension: string;
  /** Only to be asked when the address's domain is one of our own. */
  readonly ownDomainOnly: boolean;
}

/** Which keys a feature uses, beside the whole address and the one without extension. */
export interface AddressKeyRules {
  /** recipient_delimiter; empty: no extensions. */
  readonly delimiters: string;
  /** `user`: always (sender_dependent_*), never, or only for domains of our own. */
  readonly bareUser: 'always' | 'own-domain' | 'never';
  /** `@domain` comes last. */
  readonly atDomain: boolean;
  /** `domain`, and its parents as names (`parents`) or with a dot in front (`dot-parents`). */
  readonly domain?: 'exact' | 'parents' | 'dot-parents';
  /** `user@` comes last: access tables. */
  readonly userAt?: boolean;
  /** Local parts that are never split, folded to lower case: double_bounce_sender. */
  readonly unsplit?: readonly string[];
  /** owner_request_special: with delimiter `-`, `owner-x` and `x-request` are not split. */
  readonly ownerRequestSpecial?: boolean;
  /** The quoted form of an internal address; it is asked first where it differs. */
  readonly quote?: (address: string) => string;
}

/** canonical, generic, relocated, virtual alias. */
export const DEFAULT_KEYS: AddressKeyRules = {
  delimiters: '',
  bareUser: 'own-domain',
  atDomain: true,
};

const NEVER_SPLIT: readonly string[] = ['postmaster', 'mailer-daemon'];

/** The keys for an address in internal form, in order. */
export function addressKeys(address: string, rules: AddressKeyRules): AddressKey[] {
  const { quote } = rules;
  const keys: AddressKey[] = [];
  const add = (key: string, partial: boolean, extension = '', ownDomainOnly = false) => {
    if (key === '') return;
    if (quote !== undefined && NEEDS_QUOTES.test(key)) {
      const quoted = quote(key);
      if (quoted !== key) keys.push({ key: quoted, partial, extension, ownDomainOnly });
    }
    keys.push({ key, partial, extension, ownDomainOnly });
  };
  const at = address.lastIndexOf('@');
  const local = at < 0 ? address : address.slice(0, at);
  const rest = at < 0 ? '' : address.slice(at);
  const extension = extensionOf(local, rules);
  const base = local.slice(0, local.length - extension.length);
  add(address, false);
  if (extension !== '') add(base + rest, true, extension);
  if (at < 0) return keys;
  if (rules.bareUser !== 'never') {
    const ownDomainOnly = rules.bareUser === 'own-domain';
    add(local, true, '', ownDomainOnly);
    if (extension !== '') add(base, true, extension, ownDomainOnly);
  }
  if (rules.atDomain) keys.push(partOf(rest));
  if (rules.domain !== undefined) {
    for (const key of domainKeys(rest.slice(1), rules.domain)) keys.push(partOf(key));
  }
  if (rules.userAt) {
    add(`${local}@`, true);
    if (extension !== '') add(`${base}@`, true, extension);
  }
  return keys;
}

function partOf(key: string): AddressKey {
  return { key, partial: true, extension: '', ownDomainOnly: false };
}

/** A cheap no for the usual address; quote() has the last word. */
const NEEDS_QUOTES = /[^-A-Za-z0-9_+.@=]|^\.|\.\.|\.@|@.*@|\.$/;

/** `a.b.c`; then `b.c`, `c` (parents) or `.b.c`, `.c` (dot-parents). */
export function domainKeys(domain: string, style: 'exact' | 'parents' | 'dot-parents'): string[] {
  const keys = [domain];
  if (style === 'exact') return keys;
  for (let dot = domain.indexOf('.', 1); dot >= 0; dot = domain.indexOf('.', dot + 1)) {
    const parent = domain.slice(style === 'parents' ? dot + 1 : dot);
    if (parent !== '') keys.push(parent);
  }
  return keys;
}

/** The extension of a local part with its delimiter, `+ext`; empty when there is none. */
function extensionOf(local: string, rules: AddressKeyRules): string {
  const { delimiters } = rules;
  if (delimiters === '') return '';
  const folded = local.toLowerCase();
  if (NEVER_SPLIT.includes(folded) || rules.unsplit?.includes(folded)) return '';
  if (delimiters.includes('-') && rules.ownerRequestSpecial !== false) {
    if (folded.startsWith('owner-') || folded.endsWith('-request')) return '';
  }
  for (let at = 1; at < local.length; at += 1) {
    if (delimiters.includes(local.charAt(at))) return local.slice(at);
  }
  return '';
}

/** The answer for an address: its trail, and the extension that the key lacked. */
export interface FoundAddress extends Found {
  readonly extension: string;
}

/**
 * Asks for each key in turn. There is a promise only when somebody has to be waited for.
 *
 * @param ownDomain whether the address's domain is one of ours; asked at most once
 * @throws {TableError} (or rejects) when a table is in trouble
 */
export function search(
  tables: TableList,
  keys: readonly AddressKey[],
  ownDomain?: () => boolean | Promise<boolean>,
): FoundAddress | undefined | Promise<FoundAddress | undefined> {
  for (const [at, key] of keys.entries()) {
    if (key.ownDomainOnly) return searchRest(tables, keys.slice(at), ownDomain);
    const answer = tables.lookup(key.key, key.partial);
    if (answer instanceof Promise) return searchRest(tables, keys.slice(at), ownDomain, answer);
    if (answer !== undefined) return foundBy(key, answer);
  }
  return undefined;
}

/** Goes on with the keys that are left; the answer to the first may be on its way. */
async function searchRest(
  tables: TableList,
  left: readonly AddressKey[],
  ownDomain: (() => boolean | Promise<boolean>) | undefined,
  asked?: Promise<Found | undefined>,
): Promise<FoundAddress | undefined> {
  let own: boolean | undefined;
  let pending = asked;
  for (const key of left) {
    if (key.ownDomainOnly) own ??= (await ownDomain?.()) ?? false;
    if (!key.ownDomainOnly || own === true) {
      const answer = pending ?? tables.lookup(key.key, key.partial);
      const found = answer instanceof Promise ? await answer : answer;
      if (found !== undefined) return foundBy(key, found);
    }
    pending = undefined;
  }
  return undefined;
}

function foundBy({ extension }: AddressKey, { value, table, key }: Found): FoundAddress {
  return { value, table, key, extension };
}
