/**
 * Whether an address of ours exists: what `reject_unlisted_recipient` asks. Mail for nobody is
 * refused at RCPT, so that we need not bounce it to a sender who may be made up.
 */
import { splitAddress } from '../../lib/address/address.ts';
import { RESOLVE, type Resolution } from '../../lib/clients/rewrite.ts';
import { addressKeys, search } from '../../lib/table/address-search.ts';
import { TableError } from '../../lib/table/table.ts';
import type { TableList } from '../../lib/table/table-list.ts';
import { DUNNO, refusal, type Verdict } from './verdict.ts';

/** The tables that say who exists, one list for each address class. */
export interface Listings {
  readonly local: TableList;
  readonly relay: TableList;
  readonly virtualMailbox: TableList;
  /** Whoever is found here exists, whatever the class. */
  readonly rewritten: readonly TableList[];
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

/** Looks an address up among those of its class. */
export async function checkListed(
  stage: 'sender' | 'recipient',
  address: string,
  resolution: Resolution,
  listings: Listings,
  rules: ListedRules,
): Promise<Verdict> {
  try {
    const unknown = await unknownIn(resolution, listings, rules);
    return unknown === undefined ? DUNNO : reject(stage, address, unknown, rules);
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    const reply = refusal(451, '4.3.0', `<${address}>: Temporary lookup failure`);
    return { kind: 'reject', reply, because: error.message };
  }
}

/** What is wrong with an address: its code, its status, and the reason. */
interface Unknown {
  readonly code: number;
  readonly status: string;
  readonly table?: string;
  readonly text?: string;
}

async function unknownIn(
  { flags, transport, nexthop, recipient }: Resolution,
  listings: Listings,
  rules: ListedRules,
): Promise<Unknown | undefined> {
  if ((flags & RESOLVE.FAIL) !== 0) throw new TableError(`${recipient}: could not be resolved`);
  const isNamed = (tables: TableList) => isFound(tables, recipient, rules.recipient_delimiter);
  for (const tables of listings.rewritten) if (await isNamed(tables)) return undefined;
  if (transport === 'error' || transport === 'retry') return failing(transport, nexthop);
  if ((flags & RESOLVE.LOCAL) !== 0) {
    const always = ['postmaster', 'mailer-daemon', rules.double_bounce_sender.toLowerCase()];
    if (always.includes(splitAddress(recipient).local.toLowerCase())) return undefined;
    if (listings.local.tables.length === 0 || (await isNamed(listings.local))) return undefined;
    return {
      code: rules.unknown_local_recipient_reject_code,
      status: '5.1.1',
      table: 'local recipient',
    };
  }
  if ((flags & RESOLVE.RELAY) !== 0) {
    if (listings.relay.tables.length === 0 || (await isNamed(listings.relay))) return undefined;
    return {
      code: rules.unknown_relay_recipient_reject_code,
      status: '5.1.1',
      table: 'relay recipient',
    };
  }
  if ((flags & RESOLVE.ALIAS) !== 0) {
    return {
      code: rules.unknown_virtual_alias_reject_code,
      status: '5.1.1',
      table: 'virtual alias',
    };
  }
  if ((flags & RESOLVE.VIRTUAL) !== 0) {
    const { virtualMailbox } = listings;
    if (virtualMailbox.tables.length === 0 || (await isNamed(virtualMailbox))) return undefined;
    return {
      code: rules.unknown_virtual_mailbox_reject_code,
      status: '5.1.1',
      table: 'virtual mailbox',
    };
  }
  return undefined;
}

/** A transport that only gives a reason: `error:5.2.1 mailbox disabled`. */
function failing(transport: 'error' | 'retry', nexthop: string): Unknown {
  const [code, fallback] = transport === 'error' ? [550, '5.1.1'] : [450, '4.1.1'];
  const coded = /^([245]\.\d{1,3}\.\d{1,3})\s+(.*)$/.exec(nexthop);
  return {
    code: Number(code),
    status: coded?.[1] ?? String(fallback),
    text: coded?.[2] ?? nexthop,
  };
}

function reject(
  stage: 'sender' | 'recipient',
  address: string,
  { code, status, table, text }: Unknown,
  rules: ListedRules,
): Verdict {
  const what = stage === 'sender' ? 'Sender address' : 'Recipient address';
  const shown = rules.show_user_unknown_table_name && table !== undefined;
  const why = text ?? (shown ? `User unknown in ${table} table` : 'User unknown');
  // RFC 3463: a bad sender has a status of its own.
  const own = stage === 'sender' && status === '5.1.1' ? '5.1.0' : status;
  return {
    kind: 'reject',
    reply: refusal(code, own, `<${address}>: ${what} rejected: ${why}`),
    because: table === undefined ? why : `${address} is not in any ${table} table`,
  };
}

async function isFound(tables: TableList, address: string, delimiters: string): Promise<boolean> {
  if (tables.tables.length === 0) return false;
  const keys = addressKeys(address, { delimiters, bareUser: 'always', atDomain: true });
  return (await search(tables, keys)) !== undefined;
}
