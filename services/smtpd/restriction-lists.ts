/** The smtpd_*_restrictions of main.cf, and what each is asked for. */
import { type Configuration, splitList } from '../../lib/config/configuration.ts';
import { parseRestrictions, type RestrictionList, requireRelayBarrier } from './access.ts';
import type { Stage } from './restrictions.ts';

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

export interface ListSettings {
  readonly smtpd_client_restrictions: string;
  readonly smtpd_helo_restrictions: string;
  readonly smtpd_sender_restrictions: string;
  readonly smtpd_relay_restrictions: string;
  readonly smtpd_recipient_restrictions: string;
  readonly smtpd_data_restrictions: string;
  readonly smtpd_end_of_data_restrictions: string;
  readonly smtpd_etrn_restrictions: string;
  readonly smtpd_delay_reject: boolean;
  readonly smtpd_reject_unlisted_recipient: boolean;
  readonly smtpd_reject_unlisted_sender: boolean;
  readonly smtpd_relay_before_recipient_restrictions: boolean;
}

type ListName = Extract<keyof ListSettings, `${string}_restrictions`> &
  Exclude<keyof ListSettings, 'smtpd_relay_before_recipient_restrictions'>;

/**
 * Reads all lists.
 *
 * @throws {FatalError} when strangers could relay
 */
export function readRestrictionLists(
  settings: ListSettings,
  configuration: Configuration,
  warn: (text: string) => void,
): RestrictionLists {
  const read = (name: ListName, stage: Stage) =>
    parseRestrictions(name, stage, splitList(settings[name]), warn, configuration.origin(name));
  const relay = read('smtpd_relay_restrictions', 'recipient');
  const own = read('smtpd_recipient_restrictions', 'recipient');
  requireRelayBarrier([relay, own]);
  const client = [read('smtpd_client_restrictions', 'client')];
  const helo = [read('smtpd_helo_restrictions', 'helo')];
  const sender = [
    read('smtpd_sender_restrictions', 'sender'),
    ...implied(settings.smtpd_reject_unlisted_sender, 'reject_unlisted_sender', 'sender'),
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
      ...implied(
        settings.smtpd_reject_unlisted_recipient,
        'reject_unlisted_recipient',
        'recipient',
      ),
    ),
    data: used(read('smtpd_data_restrictions', 'data')),
    endOfData: used(read('smtpd_end_of_data_restrictions', 'end-of-data')),
    etrn: used(...early, read('smtpd_etrn_restrictions', 'etrn')),
  };
}

/** `smtpd_reject_unlisted_*`: a restriction that needs no mention. */
function implied(isOn: boolean, restriction: string, stage: Stage): RestrictionList[] {
  const parameter = `smtpd_${restriction}`;
  return isOn ? [parseRestrictions(parameter, stage, [restriction], () => {})] : [];
}
