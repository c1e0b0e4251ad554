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
export function* addressKeys(address: string, rules: AddressKeyRules): Generator<AddressKey> {
  const at = address.lastIndexOf('@');
  const local = at < 0 ? address : address.slice(0, at);
  const rest = at < 0 ? '' : address.slice(at);
  const extension = extensionOf(local, rules);
  const base = local.slice(0, local.length - extension.length);
  yield* forms(address, rules, { partial: false, extension: '', ownDomainOnly: false });
  if (extension !== '') {
    yield* forms(base + rest, rules, { partial: true, extension, ownDomainOnly: false });
  }
  if (at < 0) return;
  if (rules.bareUser !== 'never') {
    const ownDomainOnly = rules.bareUser === 'own-domain';
    yield* forms(local, rules, { partial: true, extension: '', ownDomainOnly });
    if (extension !== '') yield* forms(base, rules, { partial: true, extension, ownDomainOnly });
  }
  const part = { partial: true, extension: '', ownDomainOnly: false };
  if (rules.atDomain) yield { key: rest, ...part };
  if (rules.domain !== undefined) {
    for (const key of domainKeys(rest.slice(1), rules.domain)) yield { key, ...part };
  }
  if (rules.userAt) {
    yield* forms(`${local}@`, rules, part);
    if (extension !== '') yield* forms(`${base}@`, rules, { ...part, extension });
  }
}

function* forms(
  key: string,
  { quote }: AddressKeyRules,
  rest: Omit<AddressKey, 'key'>,
): Generator<AddressKey> {
  if (key === '') return;
  if (quote !== undefined && NEEDS_QUOTES.test(key)) {
    const quoted = quote(key);
    if (quoted !== key) yield { key: quoted, ...rest };
  }
  yield { key, ...rest };
}

/** A cheap no for the usual address; quote() has the last word. */
const NEEDS_QUOTES = /[^-A-Za-z0-9_+.@=]|^\.|\.\.|\.@|@.*@|\.$/;

/** `a.b.c`; then `b.c`, `c` (parents) or `.b.c`, `.c` (dot-parents). */
export function* domainKeys(
  domain: string,
  style: 'exact' | 'parents' | 'dot-parents',
): Generator<string> {
  yield domain;
  if (style === 'exact') return;
  for (let dot = domain.indexOf('.', 1); dot >= 0; dot = domain.indexOf('.', dot + 1)) {
    const parent = domain.slice(style === 'parents' ? dot + 1 : dot);
    if (parent === '') return;
    yield parent;
  }
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
  keys: Iterable<AddressKey>,
  ownDomain?: () => boolean | Promise<boolean>,
): FoundAddress | undefined | Promise<FoundAddress | undefined> {
  const left = keys[Symbol.iterator]();
  for (let next = left.next(); next.done !== true; next = left.next()) {
    const key = next.value;
    if (key.ownDomainOnly) return searchRest(tables, key, left, ownDomain);
    const answer = tables.lookup(key.key, key.partial);
    if (answer instanceof Promise) return searchRest(tables, key, left, ownDomain, answer);
    if (answer !== undefined) return foundBy(key, answer);
  }
  return undefined;
}

/** Goes on with a key, whose answer may be on its way, and those after it. */
async function searchRest(
  tables: TableList,
  first: AddressKey,
  left: Iterator<AddressKey>,
  ownDomain: (() => boolean | Promise<boolean>) | undefined,
  asked?: Promise<Found | undefined>,
): Promise<FoundAddress | undefined> {
  let own: boolean | undefined;
  let pending = asked;
  for (let key: AddressKey | undefined = first; key !== undefined; ) {
    if (key.ownDomainOnly) own ??= (await ownDomain?.()) ?? false;
    if (!key.ownDomainOnly || own === true) {
      const answer = pending ?? tables.lookup(key.key, key.partial);
      const found = answer instanceof Promise ? await answer : answer;
      if (found !== undefined) return foundBy(key, found);
    }
    pending = undefined;
    const next = left.next();
    key = next.done === true ? undefined : next.value;
  }
  return undefined;
}

function foundBy({ extension }: AddressKey, { value, table, key }: Found): FoundAddress {
  return { value, table, key, extension };
}
