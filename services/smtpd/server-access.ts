/**
 * check_*_{mx,ns,a}_access: the mail exchangers, name servers or addresses of a name are looked up
 * in an access table. None of them may permit: whose DNS it is could choose them.
 */
import { isIP } from 'node:net';
import { type DnsAnswer, isNullMx, nativeReason } from '../../lib/dns/answer.ts';
import { domainKeys } from '../../lib/table/address-search.ts';
import { type TableCheck, withoutPermit } from './access-checks.ts';
import {
  type AccessQuery,
  type AccessTable,
  checkKeys,
  hostKeys,
  networkKeys,
} from './access-table.ts';
import { domainOf } from './dns-restrictions.ts';
import type { Facts } from './rule.ts';
import {
  CLASS,
  clientOf,
  DUNNO,
  type Note,
  type Subject,
  type SubjectKind,
  type Verdict,
  warning,
} from './verdict.ts';

type ServerType = 'MX' | 'NS' | 'A';

/** Whose servers are looked at, and what a refusal names; `undefined`: there is nobody. */
type Whose = (facts: Facts) => { readonly name: string; readonly subject: Subject } | undefined;

const WHOSE: Readonly<Record<string, Whose>> = {
  client: (facts) =>
    facts.client.name === 'unknown'
      ? undefined
      : { name: facts.client.name, subject: clientOf(facts) },
  reverse_client_hostname: ({ client: { reverseName: name } }) =>
    name === 'unknown' ? undefined : { name, subject: { name, kind: 'reverse-client' } },
  helo: ({ helo }) => named(helo, 'helo'),
  sender: ({ sender }) => named(sender, 'sender'),
  recipient: ({ recipient }) => named(recipient, 'recipient'),
};

function named(name: string | undefined, kind: SubjectKind): ReturnType<Whose> {
  return name === undefined || name === '' ? undefined : { name, subject: { name, kind } };
}

/** All of them, by their names. */
export const SERVER_CHECKS: Readonly<Record<string, TableCheck>> = Object.fromEntries(
  Object.entries(WHOSE).flatMap(([who, whose]) =>
    (['MX', 'NS', 'A'] as const).map((type) => {
      const name = `check_${who}_${type.toLowerCase()}_access`;
      return [name, (table: AccessTable) => serverCheck(name, type, whose, table)];
    }),
  ),
);

function serverCheck(
  restriction: string,
  type: ServerType,
  whose: Whose,
  table: AccessTable,
): ReturnType<TableCheck> {
  return async (facts, knowledge) => {
    const found = whose(facts);
    if (found === undefined) return DUNNO;
    const { name, subject } = found;
    const notes: Note[] = [];
    const verdict = await checkServers(table, type, name, { subject, facts, knowledge }, notes);
    const safe = withoutPermit(restriction, name, verdict);
    return notes.length === 0 ? safe : { ...safe, notes: [...notes, ...(safe.notes ?? [])] };
  };
}

async function checkServers(
  table: AccessTable,
  type: ServerType,
  name: string,
  query: AccessQuery,
  notes: Note[],
): Promise<Verdict> {
  const domain = domainOf(name);
  if (domain.startsWith('[')) return checkLiteral(table, type, domain, query);
  const servers = await serversOf(type, name, query, notes);
  const { resolver, families } = query.knowledge;
  for (const server of servers) {
    if (isIP(server) !== 0) {
      const verdict = await checkKeys(table, networkKeys(server), query);
      if (verdict !== undefined) return verdict;
      continue;
    }
    if (type !== 'A') {
      const verdict = await checkKeys(table, hostKeys(server, table.parents), query);
      if (verdict !== undefined) return verdict;
    }
    const found = await resolver.lookupNative(server, families);
    if (found.status !== 'found' && type !== 'A') {
      const { name: whom, kind } = query.subject;
      const what = `Unable to look up ${type} host ${server} for ${CLASS[kind]} ${whom}`;
      notes.push(warning(`${what}: ${nativeReason(found.status)}`));
    }
    for (const { address } of found.records) {
      const verdict = await checkKeys(table, networkKeys(address), query);
      if (verdict !== undefined) return verdict;
    }
  }
  return DUNNO;
}

/** `[192.0.2.1]` is its own mail exchanger, and has no name servers. */
async function checkLiteral(
  table: AccessTable,
  type: ServerType,
  literal: string,
  query: AccessQuery,
): Promise<Verdict> {
  const address = literal.replace(/^\[(?:ipv6:)?|\]$/gi, '');
  if (type === 'NS' || isIP(address) === 0) return DUNNO;
  return (await checkKeys(table, networkKeys(address), query)) ?? DUNNO;
}

async function serversOf(
  type: ServerType,
  name: string,
  { knowledge: { resolver } }: AccessQuery,
  notes: Note[],
): Promise<readonly string[]> {
  const domain = domainOf(name);
  if (type === 'A') return [domain];
  if (type === 'MX') {
    const found = await resolver.lookupMx(domain);
    if (isNullMx(found.records)) return [];
    if (found.status === 'not-found' || found.status === 'no-data') return [domain];
    if (found.status !== 'found') notes.push(unreachable(type, domain, found));
    return found.records.map(({ exchange }) => exchange);
  }
  // A host is in a zone: that has the name servers.
  for (const zone of domainKeys(domain, 'parents')) {
    const found = await resolver.lookupNs(zone);
    if (found.status === 'found') return found.records;
    if (found.status === 'again' || found.status === 'invalid') {
      notes.push(unreachable(type, zone, found));
      return [];
    }
  }
  notes.push(warning(`Unable to look up ${type} host for ${name}: Host not found`));
  return [];
}

function unreachable(type: ServerType, domain: string, { reason }: DnsAnswer<unknown>): Note {
  const why = reason.replace(/^.*: /, '');
  return warning(`Unable to look up ${type} host for ${domain}: ${why}`);
}
