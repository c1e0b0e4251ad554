/** main.cf, read once into what rewriting and resolving need. */
import { join } from 'node:path';
import { quote } from '../../lib/address/address.ts';
import { hasOldDefault } from '../../lib/config/compatibility.ts';
import type { Configuration, ParameterName } from '../../lib/config/configuration.ts';
import { splitList } from '../../lib/config/configuration.ts';
import { openMatchList, parentDomainMatches } from '../../lib/config/match-list.ts';
import type { TableWatch } from '../../lib/server/table-watch.ts';
import type { AddressKeyRules } from '../../lib/table/address-search.ts';
import { openTable, openTables, type TableList } from '../../lib/table/table.ts';
import { OwnDomains } from './own-domains.ts';
import type { ResolveRules, RouteRules } from './resolve.ts';
import type { RewriteRules } from './rewrite.ts';

/** Parameters that decide; the ones that list tables or domains are opened besides. */
export const PARAMETERS = [
  'allow_min_user',
  'allow_percent_hack',
  'append_at_myorigin',
  'append_dot_mydomain',
  'double_bounce_sender',
  'empty_address_default_transport_maps_lookup_key',
  'empty_address_recipient',
  'empty_address_relayhost_maps_lookup_key',
  'helpful_warnings',
  'mydomain',
  'myhostname',
  'myorigin',
  'owner_request_special',
  'proxy_interfaces',
  'recipient_delimiter',
  'remote_header_rewrite_domain',
  'resolve_dequoted_address',
  'resolve_null_domain',
  'resolve_numeric_domain',
  'show_user_unknown_table_name',
  'smtputf8_enable',
  'swap_bangpath',
] as const;

export interface Settings {
  readonly local: RewriteRules;
  readonly remote: RewriteRules;
  readonly resolve: ResolveRules;
  /** Domains are completed, and only because compatibility_level is old. */
  readonly appendsByOldDefault: boolean;
  /** The routes of mail, and of address probes. */
  readonly mail: RouteRules;
  readonly probes: RouteRules;
}

/** Reads the parameters and opens the tables; after this no path is needed any more. */
export function openSettings(tables: TableWatch): Settings {
  const { configuration, log } = tables;
  const values = configuration.select(PARAMETERS);
  const opener: Opener = {
    configuration,
    list: (parameter, substitution = true) => {
      const text = configuration.text(parameter);
      return openTables(text, { ...tables, parameter, substitution });
    },
    domains: (parameter) =>
      openMatchList(configuration, parameter, (name) => openTable(name, tables)),
  };
  const common = {
    swapBangpath: values.swap_bangpath,
    percentHack: values.allow_percent_hack,
    appendAtOrigin: values.append_at_myorigin,
    appendDotDomain: values.append_dot_mydomain,
  };
  const local = { ...common, origin: values.myorigin, domain: values.mydomain };
  const other = values.remote_header_rewrite_domain;
  const own = new OwnDomains(opener.domains('mydestination'), [
    ...configuration.addresses().map(({ address }) => address),
    ...splitList(values.proxy_interfaces),
  ]);
  const keys: AddressKeyRules = {
    delimiters: values.recipient_delimiter,
    bareUser: 'own-domain',
    atDomain: true,
    unsplit: [values.double_bounce_sender.toLowerCase()],
    ownerRequestSpecial: values.owner_request_special,
    quote,
  };
  const parents = parentDomainMatches(configuration, 'transport_maps');
  const resolve: ResolveRules = {
    ...local,
    myhostname: values.myhostname,
    nullRecipient: values.empty_address_recipient,
    resolveNullDomain: values.resolve_null_domain,
    resolveDequoted: values.resolve_dequoted_address,
    ownDomain: (domain) => own.match(domain),
    aliasDomains: opener.domains('virtual_alias_domains'),
    mailboxDomains: opener.domains('virtual_mailbox_domains'),
    relayDomains: opener.domains('relay_domains'),
    relocated: opener.list('relocated_maps'),
    numericDomain: values.resolve_numeric_domain,
    allowMinUser: values.allow_min_user,
    utf8: values.smtputf8_enable,
    helpfulWarnings: values.helpful_warnings,
    showTable: values.show_user_unknown_table_name,
    nullSenderRelayhostKey: values.empty_address_relayhost_maps_lookup_key,
    nullSenderTransportKey: values.empty_address_default_transport_maps_lookup_key,
    keys,
    transportKeys: {
      ...keys,
      bareUser: 'never',
      atDomain: false,
      domain: parents ? 'parents' : 'dot-parents',
    },
    configurationFile: join(configuration.directory, 'main.cf'),
    warn: (text) => log.warn(text),
  };
  return {
    local,
    remote: { ...common, origin: other, domain: other },
    resolve,
    appendsByOldDefault: hasOldDefault(configuration, 'append_dot_mydomain'),
    mail: openRoutes('', opener),
    probes: openRoutes('address_verify_', opener),
  };
}

interface Opener {
  readonly configuration: Configuration;
  readonly list: (parameter: string, substitution?: boolean) => TableList;
  readonly domains: (parameter: DomainList) => ReturnType<typeof openMatchList>;
}

type DomainList =
  | 'mydestination'
  | 'virtual_alias_domains'
  | 'virtual_mailbox_domains'
  | 'relay_domains';

/** The parameters of each way; their names are written out, since `postfix check` reads them here. */
const ROUTES = {
  '': {
    localTransport: 'local_transport',
    virtualTransport: 'virtual_transport',
    relayTransport: 'relay_transport',
    defaultTransport: 'default_transport',
    relayhost: 'relayhost',
    senderRelayhosts: 'sender_dependent_relayhost_maps',
    senderTransports: 'sender_dependent_default_transport_maps',
    transports: 'transport_maps',
  },
  address_verify_: {
    localTransport: 'address_verify_local_transport',
    virtualTransport: 'address_verify_virtual_transport',
    relayTransport: 'address_verify_relay_transport',
    defaultTransport: 'address_verify_default_transport',
    relayhost: 'address_verify_relayhost',
    senderRelayhosts: 'address_verify_sender_dependent_relayhost_maps',
    senderTransports: 'address_verify_sender_dependent_default_transport_maps',
    transports: 'address_verify_transport_maps',
  },
} as const;

function openRoutes(prefix: RouteRules['prefix'], { configuration, list }: Opener): RouteRules {
  const names = ROUTES[prefix];
  const text = (name: ParameterName) => configuration.text(name);
  return {
    prefix,
    localTransport: text(names.localTransport),
    virtualTransport: text(names.virtualTransport),
    relayTransport: text(names.relayTransport),
    defaultTransport: text(names.defaultTransport),
    relayhost: text(names.relayhost),
    senderRelayhosts: list(names.senderRelayhosts),
    senderTransports: list(names.senderTransports),
    // A sender could choose the way their mail takes, if its result depended on the address.
    transports: list(names.transports, false),
  };
}
