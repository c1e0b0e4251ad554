/**
 * Whether an address of ours exists: what `reject_unlisted_recipient` asks. Mail for nobody is
 * refused at RCPT, so that we need not bounce it to a sender who may be made up.
 */
import { splitAddress } from '../../lib/address/address.ts';
import { RESOLVE, type Resolution } from '../../lib/clients/rewrite.ts';
import { addressKeys, search } from '../../lib/table/address-search.ts';
import { TableError } from '../../lib/table/table.ts';
import type { TableList } from '../../lib/table/table-list.ts';
import { adaptStatus } from './address-status.ts';
import { DUNNO, lookupFailure, refusal, type Verdict } from './verdict.ts';

/** The tables that say who exists; a list without tables knows everybody. */
export interface Listings {
  readonly local: TableList;
  readonly relay: TableList;
  readonly virtualMailbox: TableList;
  /** Whoever is found here exists, whatever the class. None of these lists is empty. */
  readonly rewritten: readonly TableList[];
  /** The same for senders only. */
  readonly rewrittenSenders: readonly TableList[];
}

/** What else the answer depends on. */
export interface ListedRules {
  readonly unknown_local_recipient_reject_code: number;
  readonly unknown_relay_recipient_reject_code: number;
  readonly unknown_virtual_alias_reject_code: number;
  readonly unknown_virtual_mailbox_reject_code: number;
  readonly show_user_unknown_table_name: boolean;
  readonly double_bounce_sender: string;
  readonly recipient_delimiter: string;
}

/** Of whom there is a list, and what is said of those who are not on it. */
interface AddressClass {
  readonly code: number;
  /** `local recipient`: the table, in replies. */
  readonly name: string;
  /** Absent: nobody but those who are rewritten. */
  readonly tables?: TableList;
}

export type Party = 'sender' | 'recipient';

/** Looks an address up among those of its class. It waits only when there is a table to ask. */
export function checkListed(
  party: Party,
  address: string,
  route: Resolution,
  listings: Listings,
  rules: ListedRules,
): Verdict | Promise<Verdict> {
  if ((route.flags & RESOLVE.FAIL) !== 0) return lookupFailure(address, 'a table has no answer');
  const { transport } = route;
  const fails = transport === 'error' || transport === 'retry';
  const own = fails ? undefined : classOf(route, listings, rules);
  if (!fails && own === undefined) return DUNNO;
  return findListed(party, address, route, own, listings, rules);
}

async function findListed(
  party: Party,
  address: string,
  route: Resolution,
  own: AddressClass | undefined,
  listings: Listings,
  rules: ListedRules,
): Promise<Verdict> {
  const { recipient } = route;
  const rewritten = party === 'sender' ? listings.rewrittenSenders : [];
  try {
    for (const tables of [...listings.rewritten, ...rewritten]) {
      if (await isFound(tables, recipient, rules.recipient_delimiter)) return DUNNO;
    }
    if (own === undefined) return undeliverable(party, address, route, rules);
    const known =
      own.tables !== undefined && (await isFound(own.tables, recipient, rules.recipient_delimiter));
    return known ? DUNNO : unknown(party, address, own, rules);
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    return lookupFailure(address, error.message);
  }
}

function classOf(
  { flags, recipient }: Resolution,
  listings: Listings,
  rules: ListedRules,
): AddressClass | undefined {
  const { local, relay, virtualMailbox } = listings;
  if ((flags & RESOLVE.LOCAL) !== 0) {
    const code = rules.unknown_local_recipient_reject_code;
    if (local.tables.length === 0 || isAlwaysThere(recipient, rules)) return undefined;
    return { code, name: 'local recipient', tables: local };
  }
  if ((flags & RESOLVE.RELAY) !== 0) {
    const code = rules.unknown_relay_recipient_reject_code;
    return relay.tables.length === 0 ? undefined : { code, name: 'relay recipient', tables: relay };
  }
  if ((flags & RESOLVE.VIRTUAL) !== 0) {
    const code = rules.unknown_virtual_mailbox_reject_code;
    const tables = virtualMailbox;
    return tables.tables.length === 0 ? undefined : { code, name: 'virtual mailbox', tables };
  }
  if ((flags & RESOLVE.ALIAS) !== 0) {
    return { code: rules.unknown_virtual_alias_reject_code, name: 'virtual alias' };
  }
  return undefined;
}

/** The mail system's own addresses. */
function isAlwaysThere(address: string, { double_bounce_sender }: ListedRules): boolean {
  const local = splitAddress(address).local.toLowerCase();
  return (
    local === 'postmaster' ||
    local === 'mailer-daemon' ||
    local === double_bounce_sender.toLowerCase()
  );
}

const REJECTED: Readonly<Record<Party, string>> = {
  sender: 'Sender address rejected',
  recipient: 'Recipient address rejected',
};

function unknown(
  party: Party,
  address: string,
  { code, name }: AddressClass,
  { show_user_unknown_table_name: showsTable }: ListedRules,
): Verdict {
  const why = showsTable ? `User unknown in ${name} table` : 'User unknown';
  return {
    kind: 'reject',
    reply: refusal(code, statusOf(party, '5.1.1'), `<${address}>: ${REJECTED[party]}: ${why}`),
    because: () => `${address} is in none of the ${name} tables`,
  };
}

/**
 * A transport that only gives a reason: `error:5.2.1 mailbox disabled`. A virtual alias domain has
 * that transport, too.
 */
function undeliverable(
  party: Party,
  address: string,
  { transport, nexthop, flags }: Resolution,
  rules: ListedRules,
): Verdict {
  const [, own, reason = nexthop] = CODED.exec(nexthop) ?? [];
  const [code, fallback] =
    transport === 'retry'
      ? [450, '4.1.1']
      : [(flags & RESOLVE.ALIAS) === 0 ? 550 : rules.unknown_virtual_alias_reject_code, '5.1.1'];
  const { status, notes } =
    own === undefined ? { status: statusOf(party, fallback), notes: [] } : adaptStatus(own, party);
  return {
    kind: 'reject',
    reply: refusal(code, status, `<${address}>: ${REJECTED[party]}: ${reason}`),
    because: () => `${transport}:${nexthop}`,
    notes,
  };
}

/** A reason that starts with an RFC 3463 status. */
const CODED = /^([245]\.\d{1,3}\.\d{1,3})\s+(.*)$/;

/** RFC 3463: what is wrong with a recipient's address is not what is wrong with a sender's. */
function statusOf(party: Party, status: string): string {
  return party === 'sender' && status.endsWith('.1.1') ? `${status.charAt(0)}.1.0` : status;
}

async function isFound(tables: TableList, address: string, delimiters: string): Promise<boolean> {
  const keys = addressKeys(address, { delimiters, bareUser: 'always', atDomain: true });
  return (await search(tables, keys)) !== undefined;
}
