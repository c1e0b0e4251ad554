/** The smtpd_*_restrictions of main.cf, and what each is asked for. */
import { overrides } from '../../lib/clients/receive-overrides.ts';
import type { Configuration } from '../../lib/config/configuration.ts';
import { formatOrigin } from '../../lib/config/source.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { avoidedRefusal, earlyRefusal, type OldDefaults } from './compatibility.ts';
import type { RestrictionParser } from './restriction-parser.ts';
import type { RestrictionList, Settings, Stage } from './rule.ts';

/** Lists in the order in which they are gone through. */
export interface RestrictionLists {
  readonly client: readonly RestrictionList[];
  readonly helo: readonly RestrictionList[];
  readonly sender: readonly RestrictionList[];
  /** At RCPT and VRFY; with `smtpd_delay_reject` the others come first. */
  readonly recipient: readonly RestrictionList[];
  readonly data: readonly RestrictionList[];
  readonly endOfData: readonly RestrictionList[];
  readonly etrn: readonly RestrictionList[];
}

type ListName = `smtpd_${
  | 'client'
  | 'helo'
  | 'sender'
  | 'relay'
  | 'recipient'
  | 'data'
  | 'end_of_data'
  | 'etrn'}_restrictions`;

/**
 * Reads all lists.
 *
 * @throws {FatalError} when strangers could relay
 */
export function readRestrictionLists(
  settings: Settings,
  configuration: Configuration,
  parser: RestrictionParser,
  oldDefaults: OldDefaults,
): RestrictionLists {
  const read = (name: ListName, stage: Stage): RestrictionList => {
    const origin = configuration.origin(name);
    const parameter = origin === undefined ? name : `${formatOrigin(origin)}: ${name}`;
    return { parameter, stage, rules: parser.parse(settings[name], stage) };
  };
  /** `smtpd_reject_unlisted_*`: a restriction that needs no mention. */
  const implied = (
    name: 'reject_unlisted_sender' | 'reject_unlisted_recipient',
    stage: Stage,
  ): RestrictionList[] =>
    settings[`smtpd_${name}`]
      ? [{ parameter: `smtpd_${name}`, stage, rules: parser.parse(name, stage) }]
      : [];
  checkTempfailActions(settings);
  requireRelayBarrier(settings, parser);
  const relay = oldDefaults.relayRestrictions
    ? unusedRelayList(parser)
    : read('smtpd_relay_restrictions', 'recipient');
  const own = {
    ...read('smtpd_recipient_restrictions', 'recipient'),
    afterRefusal: oldDefaults.relayBeforeRecipient ? earlyRefusal : undefined,
  };
  const client = [read('smtpd_client_restrictions', 'client')];
  const helo = [read('smtpd_helo_restrictions', 'helo')];
  const sender = [
    read('smtpd_sender_restrictions', 'sender'),
    ...implied('reject_unlisted_sender', 'sender'),
  ];
  const early = settings.smtpd_delay_reject ? [...client, ...helo] : [];
  const used = (...lists: RestrictionList[]) => lists.filter(({ rules }) => rules.length > 0);
  return {
    client: used(...client),
    helo: used(...helo),
    sender: used(...sender),
    recipient: used(
      ...early,
      ...(settings.smtpd_delay_reject ? sender : []),
      ...(settings.smtpd_relay_before_recipient_restrictions ? [relay, own] : [own, relay]),
      ...(overrides(settings.receive_override_options, 'no_unknown_recipient_checks')
        ? []
        : implied('reject_unlisted_recipient', 'recipient')),
    ),
    data: used(read('smtpd_data_restrictions', 'data')),
    endOfData: used(read('smtpd_end_of_data_restrictions', 'end-of-data')),
    etrn: used(...early, read('smtpd_etrn_restrictions', 'etrn')),
  };
}

/** Permits what the default of a newer level does; says of all else that it would be refused. */
function unusedRelayList(parser: RestrictionParser): RestrictionList {
  const permits = 'permit_mynetworks, permit_sasl_authenticated, permit_auth_destination';
  const last = { name: '', warnOnly: false, restriction: avoidedRefusal };
  const parameter = 'smtpd_relay_restrictions';
  return {
    parameter,
    stage: 'recipient',
    rules: [...parser.parse(permits, 'recipient'), last],
  };
}

/** @throws {FatalError} with Postfix's text, when what is to be done in trouble makes no sense */
function checkTempfailActions(settings: Settings): void {
  for (const name of TEMPFAIL_ACTIONS) {
    if (/^defer(?:_if_permit)?$/i.test(settings[name])) continue;
    throw new FatalError(`bad configuration: ${name} = ${settings[name]}`);
  }
}

const TEMPFAIL_ACTIONS = [
  'unknown_helo_hostname_tempfail_action',
  'unknown_address_tempfail_action',
  'unverified_recipient_tempfail_action',
  'unverified_sender_tempfail_action',
] as const;

/**
 * Refuses to start a server through which strangers could relay.
 *
 * @throws {FatalError} with Postfix's text
 */
function requireRelayBarrier(settings: Settings, parser: RestrictionParser): void {
  const { smtpd_relay_restrictions, smtpd_recipient_restrictions } = settings;
  const lists = [smtpd_relay_restrictions, smtpd_recipient_restrictions];
  if (lists.some((text) => parser.hasRelayBarrier(text))) return;
  throw new FatalError(
    'in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one ' +
      'working instance of: reject_unauth_destination, defer_unauth_destination, reject, defer, ' +
      'defer_if_permit or check_relay_domains',
  );
}
