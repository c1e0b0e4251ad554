/**
 * The restrictions of smtpd_*_restrictions that are a word alone: a table from name to function.
 * Each looks at the facts of the session and gives one verdict; none has an effect. Those that take
 * an argument are in access-checks.ts and its neighbours. Postfix: postconf(5).
 */
import { VERIFY_RESTRICTIONS } from './address-verification.ts';
import { CERTIFICATE_RESTRICTIONS } from './certificate-restrictions.ts';
import { notedOwnNetwork, notedRelayDomain } from './compatibility.ts';
import { DNS_RESTRICTIONS } from './dns-restrictions.ts';
import { permitMxBackup } from './mx-backup.ts';
import { OBSOLETE_RESTRICTIONS } from './obsolete-restrictions.ts';
import { destinationOf, refuseForeign } from './relay-barrier.ts';
import type { Facts, Knowledge, Restriction } from './rule.ts';
import { SYNTAX_RESTRICTIONS } from './syntax-restrictions.ts';
import {
  clientOf,
  DUNNO,
  lookupFailure,
  PERMIT,
  refusal,
  reject,
  rejected,
  type Verdict,
} from './verdict.ts';

/** The restrictions that are built. */
export const RESTRICTIONS: Readonly<Record<string, Restriction>> = {
  permit: () => PERMIT,
  reject: ({ subject }, { settings }) =>
    reject(settings.reject_code, '5.7.1', rejected(subject, 'Access denied')),
  defer: ({ subject }, { settings }) =>
    reject(settings.defer_code, '4.3.2', rejected(subject, 'Try again later')),
  defer_if_permit: ({ subject }) => ({
    kind: 'defer-if-permit',
    reply: refusal(450, '4.7.0', rejected(subject, 'defer_if_permit requested')),
  }),
  defer_if_reject: ({ subject }) => ({
    kind: 'defer-if-reject',
    reply: refusal(450, '4.7.0', rejected(subject, 'defer_if_reject requested')),
  }),
  reject_unauth_pipelining: ({ pipelined, subject }) =>
    pipelined
      ? reject(503, '5.5.0', rejected(subject, 'Improper use of SMTP command pipelining'))
      : DUNNO,
  reject_plaintext_session: ({ isEncrypted }, { settings }) =>
    isEncrypted
      ? DUNNO
      : reject(settings.plaintext_reject_code, '4.7.1', 'Session encryption is required'),
  // At RCPT there is one more, if it is accepted.
  reject_multi_recipient_bounce: ({ sender, recipientCount, subject, command }, { settings }) =>
    sender === '' && recipientCount > (command === 'RCPT' ? 0 : 1)
      ? reject(
          settings.multi_recipient_bounce_reject_code,
          '5.5.3',
          rejected(subject, 'Multi-recipient bounce'),
        )
      : DUNNO,
  permit_mynetworks: permitOwnNetworks,
  permit_inet_interfaces: (facts, { isOwnAddress }) =>
    isOwnAddress(facts.client.address)
      ? { kind: 'permit', permitted: { subject: clientOf(facts) } }
      : DUNNO,
  permit_sasl_authenticated: permitLogin,
  permit_auth_destination: permitOwnDestination,
  reject_unauth_destination: (facts, knowledge) =>
    refuseForeign(facts, knowledge, knowledge.settings.relay_domains_reject_code),
  defer_unauth_destination: (facts, knowledge) =>
    refuseForeign(facts, knowledge, knowledge.settings.relay_domains_reject_code - 100),
  reject_unlisted_recipient: requireListedRecipient,
  check_recipient_maps: requireListedRecipient,
  reject_unlisted_sender: ({ sender, senderRoute: route }, { checkListed }) =>
    sender === undefined || route === undefined ? DUNNO : checkListed('sender', sender, route),
  permit_mx_backup: permitMxBackup,
  ...SYNTAX_RESTRICTIONS,
  ...DNS_RESTRICTIONS,
  ...VERIFY_RESTRICTIONS,
  ...OBSOLETE_RESTRICTIONS,
  ...CERTIFICATE_RESTRICTIONS,
};

function permitOwnDestination(facts: Facts, { settings, oldDefaults }: Knowledge): Verdict {
  const { recipient } = facts;
  if (recipient === undefined || destinationOf(facts, settings) !== 'ours') return DUNNO;
  const subject = { name: recipient, kind: 'recipient' } as const;
  return notedRelayDomain({ kind: 'permit', permitted: { subject } }, facts, oldDefaults);
}

function permitOwnNetworks(
  { subject, client }: Facts,
  { oldDefaults: { mynetworks } }: Knowledge,
): Verdict | Promise<Verdict> {
  const { network, address, label } = client;
  if (network === undefined)
    return { kind: 'dunno', because: () => `${address} is not in mynetworks` };
  if (typeof network === 'object')
    return lookupFailure(subject.name, network.failed, network.failed);
  const permit: Verdict = {
    kind: 'permit',
    because: () => `${address} matches ${network} in mynetworks`,
    permitted: { subject: { name: label, kind: 'client' } },
  };
  return mynetworks === undefined ? permit : notedOwnNetwork(permit, client, mynetworks);
}

function permitLogin(facts: Facts, { settings }: Knowledge): Verdict {
  const { login, label } = facts.client;
  if (!settings.smtpd_sasl_auth_enable) return DUNNO;
  if (login !== undefined && login.method.toLowerCase() !== 'anonymous') {
    return {
      kind: 'permit',
      because: () => `${login.username} is logged in`,
      permitted: { subject: { name: label, kind: 'client' } },
    };
  }
  if (!facts.isLoginDown) return DUNNO;
  // It may be one of ours: nothing is refused for good while nobody can show it.
  return {
    kind: 'defer-if-reject',
    reply: refusal(450, '4.7.0', rejected(facts.subject, 'Authentication service unavailable')),
  };
}

function requireListedRecipient(
  { recipient, recipientRoute: route }: Facts,
  { checkListed }: Knowledge,
): Verdict | Promise<Verdict> {
  return recipient === undefined || route === undefined
    ? DUNNO
    : checkListed('recipient', recipient, route);
}
