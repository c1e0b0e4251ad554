/**
 * What happens only because of an old compatibility_level is done, and said. Which defaults are old:
 * lib/config/compatibility.ts.
 */
import { RESOLVE } from '../../lib/clients/rewrite.ts';
import { hasOldDefault, OLD_DEFAULT } from '../../lib/config/compatibility.ts';
import type { Configuration } from '../../lib/config/configuration.ts';
import { type MatchList, parseMatchList } from '../../lib/config/match-list.ts';
import { networksByStyle } from '../../lib/config/networks.ts';
import type { Facts } from './rule.ts';
import type { Client } from './transaction.ts';
import type { Note, Verdict } from './verdict.ts';

/** The old defaults that are in use; with a new compatibility_level, none. */
export interface OldDefaults {
  /** What mynetworks would be, and the style that it is instead. */
  readonly mynetworks: { readonly list: MatchList; readonly style: string } | undefined;
  readonly relayDomains: boolean;
  readonly relayRestrictions: boolean;
  readonly relayBeforeRecipient: boolean;
  readonly smtputf8: boolean;
  readonly fingerprintDigest: boolean;
}

export function oldDefaultsOf(configuration: Configuration): OldDefaults {
  return {
    mynetworks: hasOldDefault(configuration, 'mynetworks_style')
      ? { list: networksOfHost(configuration), style: configuration.text('mynetworks_style') }
      : undefined,
    relayDomains: hasOldDefault(configuration, 'relay_domains'),
    relayRestrictions: hasOldDefault(configuration, 'smtpd_relay_restrictions'),
    relayBeforeRecipient: hasOldDefault(configuration, 'smtpd_relay_before_recipient_restrictions'),
    smtputf8: hasOldDefault(configuration, 'smtputf8_enable'),
    fingerprintDigest: hasOldDefault(configuration, 'smtpd_tls_fingerprint_digest'),
  };
}

function networksOfHost(configuration: Configuration): MatchList {
  return parseMatchList(networksByStyle('host', configuration.addresses()), {
    name: 'mynetworks',
    openTable: (name) => {
      throw new Error(`unexpected table ${name} in mynetworks`);
    },
  });
}

/** A permit of mynetworks, with what is to be said when a newer default would not have given it. */
export async function notedOwnNetwork(
  permit: Verdict,
  { name, address, label }: Client,
  { list, style }: NonNullable<OldDefaults['mynetworks']>,
): Promise<Verdict> {
  const { matched } = await list.matchClient(name, address);
  return matched
    ? permit
    : noted(permit, `mynetworks_style=${style} to permit request from client "${label}"`);
}

/** What is ours only because it is below mydestination. */
export function notedRelayDomain(
  verdict: Verdict,
  { recipientRoute: route }: Facts,
  { relayDomains }: OldDefaults,
): Verdict {
  if (!relayDomains || route === undefined) return verdict;
  const { flags, recipient } = route;
  const isFinal = (flags & (RESOLVE.LOCAL | RESOLVE.ALIAS | RESOLVE.VIRTUAL)) !== 0;
  if (isFinal || (flags & RESOLVE.RELAY) === 0) return verdict;
  const domain = recipient.slice(recipient.lastIndexOf('@') + 1);
  return noted(verdict, `relay_domains=$mydestination to accept mail for domain "${domain}"`);
}

/** Comes after what the new default of smtpd_relay_restrictions has to permit by. */
export function avoidedRefusal({ recipient, client }: Facts): Verdict {
  return noted(
    { kind: 'dunno' },
    '"smtpd_relay_restrictions = (empty)" to avoid "Relay access denied" error for recipient ' +
      `"${recipient}" from client "${client.label}"`,
  );
}

/** A list refuses that would be asked later. */
export function earlyRefusal({ recipient, client }: Facts): Note {
  return note(
    'smtpd_relay_before_recipient_restrictions=no to reject recipient ' +
      `"${recipient}" from client "${client.label}"`,
  );
}

/** A table has been asked for fingerprints, so many times. */
export function notedFingerprints(
  verdict: Verdict,
  times: number,
  { fingerprintDigest }: OldDefaults,
): Verdict {
  if (!fingerprintDigest) return verdict;
  const asked = note('smtpd_tls_fingerprint_digest=md5 to compute certificate fingerprints');
  return { ...verdict, notes: [...Array<Note>(times).fill(asked), ...(verdict.notes ?? [])] };
}

/** An address is taken as bytes that would have to be UTF-8. */
export function nonAsciiText(what: 'sender' | 'recipient', address: string, label: string): string {
  return `${OLD_DEFAULT} smtputf8_enable=no to accept non-ASCII ${what} address "${address}" from ${label}`;
}

function noted(verdict: Verdict, text: string): Verdict {
  return { ...verdict, notes: [...(verdict.notes ?? []), note(text)] };
}

function note(text: string): Note {
  return { severity: 'info', text: `${OLD_DEFAULT} ${text}` };
}
