/**
 * What main.cf says about cleanup, read and opened once, before privileges are dropped.
 */

import { quote } from '../../lib/address/address.ts';
import { splitList } from '../../lib/config/list.ts';
import { type MatchList, openMatchList } from '../../lib/config/match-list.ts';
import type { CheckTables } from '../../lib/message/checks.ts';
import type { MimeOptions } from '../../lib/message/mime.ts';
import { MILTER_PARAMETERS } from '../../lib/milter/settings.ts';
import { type Hashing, hashingOf } from '../../lib/queue/queue-path.ts';
import type { ParametersOf } from '../../lib/server/service.ts';
import type { TableWatch } from '../../lib/server/table-watch.ts';
import type { AddressKeyRules } from '../../lib/table/address-search.ts';
import { openTable, openTables, type TableContext, type TableList } from '../../lib/table/table.ts';
import { unescapeCharacters } from './characters.ts';
import { type Masquerade, parseMasquerade } from './masquerade.ts';

export const CLEANUP_PARAMETERS = [
  ...MILTER_PARAMETERS,
  'address_verify_service_name',
  'always_add_missing_headers',
  'always_bcc',
  'body_checks_size_limit',
  'bounce_service_name',
  'cleanup_replace_stray_cr_lf',
  'defer_service_name',
  'delay_warning_time',
  'disable_mime_input_processing',
  'dns_nameservers',
  'duplicate_filter_limit',
  'empty_address_recipient',
  'enable_long_queue_ids',
  'enable_original_recipient',
  'hash_queue_depth',
  'hash_queue_names',
  'header_address_token_limit',
  'header_size_limit',
  'hopcount_limit',
  'in_flow_delay',
  'ipc_timeout',
  'line_length_limit',
  'masquerade_domains',
  'masquerade_exceptions',
  'message_drop_headers',
  'message_reject_characters',
  'message_size_limit',
  'message_strip_characters',
  'mime_boundary_length_limit',
  'mime_nesting_limit',
  'myhostname',
  'non_smtpd_milters',
  'propagate_unmatched_extensions',
  'queue_file_attribute_count_limit',
  'owner_request_special',
  'queue_journal_enable',
  'queue_service_name',
  'recipient_delimiter',
  'remote_header_rewrite_domain',
  'rewrite_service_name',
  'smtputf8_enable',
  'soft_bounce',
  'strict_7bit_headers',
  'strict_8bitmime',
  'strict_8bitmime_body',
  'strict_mime_encoding_domain',
  'trace_service_name',
  'trigger_timeout',
  'undisclosed_recipients_header',
  'virtual_alias_address_length_limit',
  'virtual_alias_expansion_limit',
  'virtual_alias_recursion_limit',
] as const;

export type CleanupParameters = ParametersOf<(typeof CLEANUP_PARAMETERS)[number]>;

/** The four places where an address may stand: *_classes. */
export type AddressPlace =
  | 'envelope_sender'
  | 'envelope_recipient'
  | 'header_sender'
  | 'header_recipient';

/** Tables and the places they are for. */
export interface PlacedTables {
  readonly tables: TableList;
  readonly places: ReadonlySet<string>;
}

export interface Settings {
  readonly parameters: CleanupParameters;
  readonly hashing: Hashing;
  readonly senderCanonical: PlacedTables | undefined;
  readonly recipientCanonical: PlacedTables | undefined;
  readonly canonical: PlacedTables | undefined;
  readonly masquerade: Masquerade | undefined;
  readonly masqueradePlaces: ReadonlySet<string>;
  readonly virtualAliases: TableList | undefined;
  readonly senderBcc: TableList | undefined;
  readonly recipientBcc: TableList | undefined;
  readonly checks: CheckTables;
  /** milter_header_checks */
  readonly milterHeaderChecks: TableList | undefined;
  readonly mime: MimeOptions;
  /** How addresses are looked for in canonical and alias tables, and in the bcc ones. */
  readonly addressKeys: AddressKeyRules;
  /** propagate_unmatched_extensions */
  readonly propagate: ReadonlySet<string>;
  /** message_drop_headers, in lower case. */
  readonly dropHeaders: ReadonlySet<string>;
  readonly stripCharacters: ReadonlySet<string> | undefined;
  readonly rejectCharacters: ReadonlySet<string> | undefined;
  /** Whether a domain is one that mail is delivered to here, as resolved locally. */
  isOwnDomain(domain: string): Promise<boolean>;
}

const words = (text: string): Set<string> =>
  new Set(splitList(text).map((word) => word.toLowerCase()));

export function openSettings(parameters: CleanupParameters, tables: TableWatch): Settings {
  const { configuration } = tables;
  const tablesOf = (parameter: string, context: TableContext = tables): TableList | undefined => {
    const text = configuration.text(parameter);
    if (splitList(text).length === 0) return undefined;
    return openTables(text, { ...context, parameter });
  };
  // Checks have threads of their own, for many lines at a time.
  const checksOf = (parameter: string) => tablesOf(parameter, { ...tables, apart: undefined });
  const placed = (parameter: string, classes: string): PlacedTables | undefined => {
    const list = tablesOf(parameter);
    return list && { tables: list, places: words(configuration.text(classes)) };
  };
  const own = ownDomains(tables);
  const checks: CheckTables = {
    header: checksOf('header_checks'),
    part: checksOf('mime_header_checks'),
    nested: checksOf('nested_header_checks'),
    body: checksOf('body_checks'),
  };
  return {
    parameters,
    hashing: hashingOf(parameters),
    senderCanonical: placed('sender_canonical_maps', 'sender_canonical_classes'),
    recipientCanonical: placed('recipient_canonical_maps', 'recipient_canonical_classes'),
    canonical: placed('canonical_maps', 'canonical_classes'),
    masquerade: parseMasquerade(parameters.masquerade_domains, parameters.masquerade_exceptions),
    masqueradePlaces: words(configuration.text('masquerade_classes')),
    virtualAliases: tablesOf('virtual_alias_maps'),
    senderBcc: tablesOf('sender_bcc_maps'),
    recipientBcc: tablesOf('recipient_bcc_maps'),
    checks,
    milterHeaderChecks: tablesOf('milter_header_checks'),
    mime: mimeOptions(parameters, checks),
    addressKeys: {
      delimiters: parameters.recipient_delimiter,
      bareUser: 'own-domain',
      atDomain: true,
      ownerRequestSpecial: parameters.owner_request_special,
      unsplit: [configuration.text('double_bounce_sender').toLowerCase()],
      quote,
    },
    propagate: words(parameters.propagate_unmatched_extensions),
    dropHeaders: words(parameters.message_drop_headers),
    stripCharacters: unescapeCharacters(parameters.message_strip_characters),
    rejectCharacters: unescapeCharacters(parameters.message_reject_characters),
    isOwnDomain: own,
  };
}

/** What to look for in the structure of messages. */
function mimeOptions(parameters: CleanupParameters, checks: CheckTables): MimeOptions {
  const strict = parameters.strict_8bitmime;
  const eightBitHeader = strict || parameters.strict_7bit_headers;
  const eightBitBody = strict || parameters.strict_8bitmime_body;
  const encodingDomain = parameters.strict_mime_encoding_domain;
  const checked = Object.values(checks).some((tables) => tables !== undefined);
  return {
    disabled: parameters.disable_mime_input_processing,
    nestingLimit: parameters.mime_nesting_limit,
    boundaryLimit: parameters.mime_boundary_length_limit,
    headerLimit: parameters.header_size_limit,
    report: {
      // Whoever may be deceived by what is nested too deep wants to know.
      nesting: eightBitHeader || eightBitBody || encodingDomain || checked,
      eightBitHeader,
      eightBitBody,
      encodingDomain,
    },
  };
}

/** $myorigin, what mydestination matches, and our own addresses as literals. */
function ownDomains(tables: TableWatch): (domain: string) => Promise<boolean> {
  const { configuration } = tables;
  const origin = configuration.text('myorigin').toLowerCase();
  const destinations: MatchList = openMatchList(configuration, 'mydestination', (name) =>
    openTable(name, tables),
  );
  const literals = new Set([
    ...configuration.addresses().map(({ address }) => address.toLowerCase()),
    ...words(configuration.text('proxy_interfaces')),
  ]);
  return async (domain) => {
    const name = domain.toLowerCase();
    if (name === origin) return true;
    if (name.startsWith('[')) return literals.has(name.slice(1, -1).replace(/^ipv6:/, ''));
    return (await destinations.matchName(name.replace(/\.$/, ''))).matched;
  };
}
