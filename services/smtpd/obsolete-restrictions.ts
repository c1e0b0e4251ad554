/**
 * Restrictions of long ago, which Postfix 3.7 still honours: each says once, in each process, what has
 * taken its place.
 */
import { splitList } from '../../lib/config/list.ts';
import { parseDnsList, refuseByList } from './dns-list.ts';
import { destinationOf } from './relay-barrier.ts';
import type { Knowledge, Restriction } from './rule.ts';
import { DUNNO, lookupFailure, type Note, PERMIT, reject, rejected, warning } from './verdict.ts';

/** `check_relay_domains`: clients and destinations of relay_domains. */
const checkRelayDomains: Restriction = async (facts, knowledge) => {
  const { recipient, client } = facts;
  if (recipient === undefined) return DUNNO;
  const notes = once(
    knowledge,
    `support for restriction "check_relay_domains" will be removed from ${knowledge.settings.mail_name}; use "reject_unauth_destination" instead`,
  );
  if (await knowledge.isRelayDomain(client.name)) return { ...PERMIT, notes };
  switch (destinationOf(facts, knowledge.settings)) {
    case 'ours':
      return { ...PERMIT, notes };
    case 'unknown':
      return lookupFailure(recipient, 'a table could not be asked');
    case 'foreign':
      return reject(
        knowledge.settings.relay_domains_reject_code,
        '5.7.1',
        rejected({ name: recipient, kind: 'recipient' }, 'Relay access denied'),
        { notes },
      );
  }
};

/** `reject_maps_rbl`: all lists of maps_rbl_domains. */
const rejectMapsRbl: Restriction = async (facts, knowledge) => {
  const { mail_name: mailName, maps_rbl_domains: lists } = knowledge.settings;
  const notes = [
    ...once(
      knowledge,
      `support for restriction "reject_maps_rbl" will be removed from ${mailName}; use "reject_rbl_client domain-name" instead`,
    ),
  ];
  for (const text of splitList(lists)) {
    const verdict = await refuseByList(parseDnsList(text), facts, knowledge);
    notes.push(...(verdict.notes ?? []));
    if (verdict.kind !== 'dunno') return { ...verdict, notes };
  }
  return { kind: 'dunno', notes };
};

export const OBSOLETE_RESTRICTIONS: Readonly<Record<string, Restriction>> = {
  check_relay_domains: checkRelayDomains,
  reject_maps_rbl: rejectMapsRbl,
};

function once({ warned }: Knowledge, text: string): Note[] {
  if (warned.has(text)) return [];
  warned.add(text);
  return [warning(text)];
}
