/** What restrictions may ask: the tables and lists of main.cf, opened. */
import { openMatchList } from '../../lib/config/match-list.ts';
import { ownAddresses } from '../../lib/config/networks.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import type { TableWatch } from '../../lib/server/table-watch.ts';
import { openTable, openTables } from '../../lib/table/table.ts';
import { UNKNOWN } from './client-name.ts';
import { filteredResolver } from './dns-reply-filter.ts';
import { checkListed, type Listings } from './listed.ts';
import { matches, patternOf } from './recognition.ts';
import type { Knowledge, Settings } from './rule.ts';

/** Whom all of smtpd asks. */
type Known = Pick<Knowledge, 'families' | 'resolver' | 'verify' | 'oldDefaults'>;

export function openKnowledge(
  { parameters, configuration, log, tables }: ServiceContext<keyof Settings>,
  known: Known,
): Knowledge {
  const listings = openListings(parameters, tables);
  const own = ownAddresses(parameters.inet_interfaces, parameters.inet_protocols);
  const matchList = (name: Parameters<typeof openMatchList>[1]) =>
    openMatchList(configuration, name, (table) => openTable(table, tables));
  const logged = matchList('smtpd_log_access_permit_actions');
  const backups = matchList('permit_mx_backup_networks');
  const relayDomains = matchList('relay_domains');
  const open = (
    parameter:
      | 'rbl_reply_maps'
      | 'relay_clientcerts'
      | 'smtpd_dns_reply_filter'
      | 'smtpd_sender_login_maps',
  ) => openTables(parameters[parameter], { ...tables, parameter });
  const replyFilter = open('smtpd_dns_reply_filter');
  return {
    ...known,
    resolver:
      replyFilter.tables.length > 0
        ? filteredResolver(known.resolver, replyFilter, log)
        : known.resolver,
    isRelayDomain: async (name) => name !== UNKNOWN && (await relayDomains.matchName(name)).matched,
    warned: new Set(),
    senderLogins: open('smtpd_sender_login_maps'),
    relayCertificates: open('relay_clientcerts'),
    listReplies: open('rbl_reply_maps'),
    isBackupNetwork:
      parameters.permit_mx_backup_networks === ''
        ? undefined
        : async (address) => typeof (await patternOf(backups, '', address)) === 'string',
    isOwnAddress: (address) => own.some((each) => each.address === address),
    checkListed: (party, address, route) =>
      checkListed(party, address, route, listings, parameters),
    settings: parameters,
    logsPermit:
      parameters.smtpd_log_access_permit_actions === ''
        ? undefined
        : (action) => matches(logged, action),
  };
}

function openListings(parameters: Settings, watch: TableWatch): Listings {
  const open = (parameter: MapsName) => openTables(parameters[parameter], { ...watch, parameter });
  const used = (...names: MapsName[]) => names.map(open).filter(({ tables }) => tables.length > 0);
  return {
    local: open('local_recipient_maps'),
    relay: open('relay_recipient_maps'),
    virtualMailbox: open('virtual_mailbox_maps'),
    rewritten: used('recipient_canonical_maps', 'canonical_maps', 'virtual_alias_maps'),
    rewrittenSenders: used('sender_canonical_maps'),
  };
}

type MapsName =
  | 'local_recipient_maps'
  | 'relay_recipient_maps'
  | 'virtual_alias_maps'
  | 'virtual_mailbox_maps'
  | 'canonical_maps'
  | 'recipient_canonical_maps'
  | 'sender_canonical_maps';
