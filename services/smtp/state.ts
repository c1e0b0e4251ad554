/** What a process opens once, before it gives up its rights, and all its deliveries use. */
import { readFileSync } from 'node:fs';
import { CLEANUP_FLAG, CleanupClient } from '../../lib/clients/cleanup.ts';
import { postNotice } from '../../lib/clients/notice.ts';
import { clientOptions } from '../../lib/clients/options.ts';
import { splitList } from '../../lib/config/list.ts';
import { parseMatchList } from '../../lib/config/match-list.ts';
import type { ParameterName } from '../../lib/config/parameters.ts';
import { openResolver } from '../../lib/dns/resolver.ts';
import type { Log } from '../../lib/log/log.ts';
import { CheckAnswers, openCheckThreads } from '../../lib/message/check-answers.ts';
import type { CheckTables } from '../../lib/message/checks.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import type { LookupThreads } from '../../lib/table/lookup-threads.ts';
import { openTable, openTables, type TableList } from '../../lib/table/table.ts';
import type { Means } from './attempt.ts';
import { Connector } from './connector.ts';
import type { FilterOptions } from './content-filter.ts';
import { parseServices } from './destination.ts';
import type { GenericOptions } from './generic.ts';
import { HostLookup } from './host-lookup.ts';
import { refusalOf } from './refusals.ts';
import type { ReplyFilter } from './session.ts';
import { SessionCache } from './session-cache.ts';
import { type Protocol, readSettings, type Settings } from './settings.ts';
import { noticeOf } from './transcript.ts';
import type { Peer, Trouble } from './trouble.ts';

export interface State {
  readonly means: Means;
  /** Why no mail goes out at all with this configuration. */
  readonly refusal: Trouble | undefined;
  readonly generic: GenericOptions | undefined;
  readonly filter: Pick<FilterOptions, 'mime' | 'addressTokenLimit'>;
  /** Rules for what leaves; none when there are no tables. */
  readonly checks: CheckTables | undefined;
  readonly checkThreads: LookupThreads | undefined;
}

export async function openState(context: ServiceContext, protocol: Protocol): Promise<State> {
  const { configuration, log } = context;
  const settings = readSettings(configuration, protocol);
  const services = parseServices(readIfThere('/etc/services'));
  const own = new Set([
    ...configuration.addresses().map(({ address }) => address),
    ...splitList(configuration.get('proxy_interfaces')),
  ]);
  const resolver = openResolver({
    nameservers: splitList(configuration.get('dns_nameservers')),
  });
  const warn = (text: string) => log.warn(text);
  const checks = openChecks(context, protocol);
  const replies = openMaps(
    context,
    protocol === 'lmtp' ? 'lmtp_reply_filter' : 'smtp_reply_filter',
  );
  const checkThreads = await openCheckThreads([...Object.values(checks ?? {}), replies], {
    slots: context.slots,
    configuration,
    lost: () => context.retire(),
  });
  const means: Means = {
    settings,
    rules: {
      protocol,
      defaultPort: settings.port,
      dnsEnabled: settings.dnsEnabled,
      portOf: (service) => services.get(service),
    },
    lookup: new HostLookup({
      resolver,
      settings,
      isOwn: (address) => own.has(address),
      random: Math.random,
    }),
    connector: new Connector({
      settings,
      interfaces: configuration.get('inet_interfaces') === 'all' ? [] : configuration.addresses(),
      replyFilter: replies && replyFilter(replies, checkThreads, log),
      onOddity: warn,
    }),
    cache: new SessionCache({
      idleMs: settings.cacheMs,
      ageMs: settings.reuseMs,
      reuseCount: settings.reuseCountLimit,
    }),
    notify: notifier(context, settings),
    discardedFor: discardedKeywords(context, protocol, settings.discardedKeywords),
    pixWorkaroundsFor: pixWorkarounds(context, protocol, settings.pixWorkarounds),
  };
  const get = (suffix: string) => configuration.text(`${protocol}_${suffix}`);
  return {
    means,
    refusal: refusalOf({
      protocol,
      tlsLevel: get('tls_security_level'),
      enforceTls: get('enforce_tls') === 'yes',
      wrapperMode: get('tls_wrappermode') === 'yes',
      policyMaps: get('tls_policy_maps'),
      perSite: get('tls_per_site'),
      saslEnable: get('sasl_auth_enable') === 'yes',
    }),
    generic: openGeneric(context, protocol),
    filter: {
      mime: {
        disabled: false,
        nestingLimit: configuration.get('mime_nesting_limit'),
        boundaryLimit: configuration.get('mime_boundary_length_limit'),
        headerLimit: configuration.get('header_size_limit'),
      },
      addressTokenLimit: configuration.get('header_address_token_limit'),
    },
    checks,
    checkThreads,
  };
}

/** Trouble with a notice is no trouble for the mail. */
function notifier(context: ServiceContext, settings: Settings): Means['notify'] {
  const { configuration, log } = context;
  const cleanup = new CleanupClient({
    ...clientOptions(configuration, log),
    socketPath: `public/${configuration.get('cleanup_service_name')}`,
  });
  const hostname = settings.myhostname;
  const recipient = configuration.get('error_notice_recipient');
  const sender = configuration.get('double_bounce_sender');
  const filtered = splitList(configuration.get('internal_mail_filter_classes')).includes('notify');
  const flags = CLEANUP_FLAG.MAP_OK | (filtered ? CLEANUP_FLAG.FILTER | CLEANUP_FLAG.MILTER : 0);
  const mailName = configuration.get('mail_name');
  return async ({ transcript, peer }) => {
    if (transcript === undefined) return;
    const lines = noticeOf(transcript, {
      protocol: settings.protocol,
      relay: peer.relay,
      mailName,
      hostname,
      recipient,
      oldFrom: configuration.get('header_from_format') === 'obsolete',
    });
    const from = sender.includes('@') ? sender : `${sender}@${hostname}`;
    try {
      await postNotice(cleanup, { sender: from, recipient, lines, hostname, mailName }, flags);
    } catch (error) {
      log.warn(`postmaster notify: ${(error as Error).message}`);
    }
  };
}

function replyFilter(
  tables: TableList,
  threads: LookupThreads | undefined,
  log: Log,
): (peer: Peer) => ReplyFilter {
  return (peer) => async (line) => {
    const answers = threads && new CheckAnswers(threads, log);
    const found = await (answers === undefined
      ? tables.lookup(line)
      : answers.lookup(tables, line));
    if (found === undefined) return undefined;
    log.info(`${peer.relay}: replacing server reply "${line}" with "${found.value}"`);
    return found.value;
  };
}

function openChecks(context: ServiceContext, protocol: Protocol): CheckTables | undefined {
  const open = (ofSmtp: ParameterName, ofLmtp: ParameterName) =>
    // They have threads of their own, for many lines at a time.
    openMaps(context, protocol === 'lmtp' ? ofLmtp : ofSmtp, { apart: undefined });
  const tables: CheckTables = {
    header: open('smtp_header_checks', 'lmtp_header_checks'),
    part: open('smtp_mime_header_checks', 'lmtp_mime_header_checks'),
    nested: open('smtp_nested_header_checks', 'lmtp_nested_header_checks'),
    body: open('smtp_body_checks', 'lmtp_body_checks'),
  };
  return Object.values(tables).some((list) => list !== undefined) ? tables : undefined;
}

/** The tables of a parameter; none when it is empty. */
function openMaps(
  context: ServiceContext,
  parameter: ParameterName,
  rest: { readonly apart?: undefined } = {},
): TableList | undefined {
  const text = context.configuration.text(parameter);
  if (text.trim() === '') return undefined;
  return openTables(text, { ...context.tables, ...rest, parameter });
}

function openGeneric(context: ServiceContext, protocol: Protocol): GenericOptions | undefined {
  const { configuration } = context;
  const tables = openMaps(context, protocol === 'lmtp' ? 'lmtp_generic_maps' : 'smtp_generic_maps');
  if (tables === undefined) return undefined;
  const myorigin = configuration.get('myorigin');
  const destinations = parseMatchList(configuration.get('mydestination'), {
    name: 'mydestination',
    openTable: (name) => openTable(name, context.tables),
  });
  return {
    tables,
    delimiters: configuration.get('recipient_delimiter'),
    ownerRequestSpecial: configuration.get('owner_request_special'),
    propagateExtension: splitList(configuration.get('propagate_unmatched_extensions')).includes(
      'generic',
    ),
    myorigin,
    isOwnDomain: async (domain) =>
      domain.toLowerCase() === myorigin.toLowerCase() ||
      (await destinations.matchText(domain)).matched,
  };
}

/** smtp_discard_ehlo_keyword_address_maps has the first word about a host. */
function discardedKeywords(
  context: ServiceContext,
  protocol: Protocol,
  always: readonly string[],
): Means['discardedFor'] {
  const general = withoutSilence(always);
  const parameter =
    protocol === 'lmtp'
      ? 'lmtp_discard_lhlo_keyword_address_maps'
      : 'smtp_discard_ehlo_keyword_address_maps';
  const tables = openMaps(context, parameter);
  if (tables === undefined) return async () => general;
  return async (address) => {
    const found = await tables.lookup(address);
    return found === undefined ? general : withoutSilence(splitList(found.value.toLowerCase()));
  };
}

/** smtp_pix_workaround_maps has the first word about a host. */
function pixWorkarounds(
  context: ServiceContext,
  protocol: Protocol,
  always: readonly string[],
): Means['pixWorkaroundsFor'] {
  const lmtp = protocol === 'lmtp';
  const tables = openMaps(context, lmtp ? 'lmtp_pix_workaround_maps' : 'smtp_pix_workaround_maps');
  if (tables === undefined) return async () => always;
  return async (address) => {
    const found = await tables.lookup(address);
    return found === undefined ? always : splitList(found.value.toLowerCase());
  };
}

/** `silent-discard` is about logging, not a keyword. */
function withoutSilence(keywords: readonly string[]): ReadonlySet<string> {
  return new Set(keywords.filter((keyword) => keyword !== 'silent-discard'));
}

/** A file that may be missing. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
