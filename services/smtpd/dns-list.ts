/**
 * Lists of clients and domains in the DNS: reject_rbl_*, reject_rhsbl_*, permit_dnswl_client,
 * permit_rhswl_client.
 */
import { isHostname } from '../../lib/dns/domain.ts';
import { parseListFilter } from '../../lib/dns/list-filter.ts';
import { reversedClient } from '../../lib/dns/reverse-name.ts';
import { listReply } from './dns-list-reply.ts';
import { isEmptied } from './dns-reply-filter.ts';
import { domainOf } from './dns-restrictions.ts';
import { destinationOf } from './relay-barrier.ts';
import type { Facts, Knowledge, Restriction } from './rule.ts';
import {
  clientOf,
  DUNNO,
  type Note,
  type Permitted,
  refusal,
  rejected,
  type Subject,
  type Verdict,
  warning,
} from './verdict.ts';

/** A restriction that is followed by a list: `zen.example`, `list.example=127.0.0.[2..11]`. */
export type ListCheck = (list: DnsList, restriction: string) => Restriction;

/** A list of addresses or domains. */
export interface DnsList {
  /** As it is written. */
  readonly text: string;
  readonly domain: string;
  /** Which answers count. */
  readonly matches: (address: string) => boolean;
}

/** Reads a list with its filter. @throws {FatalError} when the filter is none */
export function parseDnsList(text: string): DnsList {
  const equals = text.indexOf('=');
  if (equals < 0) return { text, domain: text, matches: () => true };
  const filter = text.slice(equals + 1);
  return { text, domain: text.slice(0, equals), matches: parseListFilter(filter) };
}

/** Whom a list is asked about: the key in it, and what the refusal says. */
interface Asked {
  readonly key: string | undefined;
  readonly subject: Subject;
}

type Whom = (facts: Facts) => Asked | undefined;

const clientAddress: Whom = ({ client: { address } }) => ({
  key: reversedClient(address),
  subject: { name: address, kind: 'client' },
});

const clientName: Whom = ({ client: { name } }) =>
  name === 'unknown' ? undefined : { key: domainKey(name), subject: { name, kind: 'client' } };

const LISTS: Readonly<Record<string, Whom>> = {
  reject_rbl_client: clientAddress,
  reject_rbl: clientAddress,
  reject_rhsbl_client: clientName,
  reject_rhsbl_reverse_client: ({ client: { reverseName: name } }) =>
    name === 'unknown'
      ? undefined
      : { key: domainKey(name), subject: { name, kind: 'reverse-client' } },
  reject_rhsbl_helo: ({ helo: name }) =>
    name === undefined ? undefined : { key: domainKey(name), subject: { name, kind: 'helo' } },
  reject_rhsbl_sender: ({ sender: name = '' }) =>
    name === '' ? undefined : { key: domainKey(name), subject: { name, kind: 'sender' } },
  reject_rhsbl_recipient: ({ recipient: name = '' }) =>
    name === '' ? undefined : { key: domainKey(name), subject: { name, kind: 'recipient' } },
};

const PERMITS: Readonly<Record<string, Whom>> = {
  permit_dnswl_client: clientAddress,
  permit_rhswl_client: clientName,
};

export const LIST_CHECKS: Readonly<Record<string, ListCheck>> = {
  ...each(LISTS, (whom) => (list) => (facts, knowledge) => {
    const asked = whom(facts);
    return asked?.key === undefined
      ? DUNNO
      : refuseListed(list, asked.key, asked, facts, knowledge);
  }),
  ...each(PERMITS, (whom) => (list, restriction) => (facts, knowledge) => {
    const asked = whom(facts);
    // Nobody on a list may relay for that.
    const isForeign = destinationOf(facts, knowledge.settings) !== 'ours';
    if (asked?.key === undefined || (facts.command === 'RCPT' && isForeign)) return DUNNO;
    return permitListed(list, asked.key, asked, {
      knowledge,
      permitted: { action: restriction, subject: clientOf(facts) },
    });
  }),
};

function each(
  whoms: Readonly<Record<string, Whom>>,
  make: (whom: Whom) => ListCheck,
): Record<string, ListCheck> {
  return Object.fromEntries(Object.entries(whoms).map(([name, whom]) => [name, make(whom)]));
}

/** reject_rbl_client for one list. */
export function refuseByList(
  list: DnsList,
  facts: Facts,
  knowledge: Knowledge,
): Verdict | Promise<Verdict> {
  const asked = clientAddress(facts);
  return asked?.key === undefined ? DUNNO : refuseListed(list, asked.key, asked, facts, knowledge);
}

/** A domain that can be on a list; `undefined` for addresses and nonsense. */
function domainKey(name: string): string | undefined {
  const domain = domainOf(name);
  if (!isHostname(domain) || /(?:^|\.)\d+$/.test(domain)) return undefined;
  return domain;
}

/** What a list says of a key. */
interface Listing {
  readonly isListed: boolean;
  readonly failed: boolean;
  readonly notes: readonly Note[];
  readonly answer: string;
}

async function ask(list: DnsList, query: string, { resolver }: Knowledge): Promise<Listing> {
  const found = await resolver.lookupAddresses(query, [4]);
  const failed = found.status === 'again' || found.status === 'invalid' || isEmptied(found);
  const notes = failed ? [warning(`${query}: RBL lookup error: ${found.reason}`)] : [];
  const hit = found.records.find(({ address }) => list.matches(address));
  return { isListed: hit !== undefined, failed, notes, answer: hit?.address ?? found.status };
}

async function refuseListed(
  list: DnsList,
  key: string,
  { subject }: Asked,
  facts: Facts,
  knowledge: Knowledge,
): Promise<Verdict> {
  const query = `${key}.${list.domain}`;
  const { isListed, notes, answer } = await ask(list, query, knowledge);
  const because = `${query}: ${answer}`;
  if (!isListed) return { kind: 'dunno', notes, because };
  const text = await knowledge.resolver.lookupTxt(query);
  const verdict = await listReply(list, subject, text.records, facts, knowledge);
  if (text.status !== 'again') return { because, ...verdict };
  const note = warning(`${query}: TXT lookup error: ${text.reason}`);
  return { because, ...verdict, notes: [note, ...(verdict.notes ?? [])] };
}

async function permitListed(
  list: DnsList,
  key: string,
  { subject }: Asked,
  { knowledge, permitted }: { knowledge: Knowledge; permitted: Permitted },
): Promise<Verdict> {
  const query = `${key}.${list.domain}`;
  const { isListed, failed, notes, answer } = await ask(list, query, knowledge);
  const because = `${query}: ${answer}`;
  if (isListed) return { kind: 'permit', because, permitted };
  if (!failed) return { kind: 'dunno', because };
  const reply = refusal(450, '4.7.1', rejected(subject, 'Service unavailable'));
  return { kind: 'defer-if-reject', reply, because, notes };
}
