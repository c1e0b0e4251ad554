/**
 * The restrictions of smtpd_*_restrictions: a table from name to function. Each looks at the facts
 * of the session and gives one verdict; none has an effect. Postfix: postconf(5).
 *
 * What Postfix knows and this table does not is refused by name when the list is read.
 */
import { isIP } from 'node:net';
import { RESOLVE, type Resolution } from '../../lib/clients/rewrite.ts';
import { isFullHost, isHost, isLiteral } from './hostname.ts';
import { DUNNO, lookupFailure, PERMIT, refusal, type Verdict } from './verdict.ts';

/** Where a list is looked at decides what it speaks of. */
export type Stage = 'client' | 'helo' | 'sender' | 'recipient' | 'data' | 'end-of-data' | 'etrn';

/** What restrictions may look at. */
export interface Facts {
  readonly stage: Stage;
  /** What a refusal names: the client, the HELO name, an address. */
  readonly subject: string;
  readonly clientAddress: string;
  readonly clientLabel: string;
  /** The pattern of `mynetworks` that the client matches; `failed` when a table does not answer. */
  readonly clientNetwork: string | undefined | { readonly failed: string };
  readonly helo: string | undefined;
  readonly sender: string | undefined;
  readonly senderRoute: Resolution | undefined;
  readonly recipient: string | undefined;
  readonly recipientRoute: Resolution | undefined;
  readonly recipientCount: number;
  readonly etrnDomain: string | undefined;
  /** The client sent more before it had our reply, where it may not. */
  readonly pipelined: boolean;
}

/** What restrictions may ask. */
export interface Knowledge {
  isOwnAddress(address: string): boolean;
  /** A refusal when the address is in one of our domains, and nobody there has it. */
  checkListed(
    stage: 'sender' | 'recipient',
    address: string,
    route: Resolution,
  ): Verdict | Promise<Verdict>;
  readonly codes: ReplyCodes;
  /** `allow_untrusted_routing`: addresses that carry their own route are taken for what they say. */
  readonly allowsRouting: boolean;
}

/** The `*_code` parameters. */
export interface ReplyCodes {
  readonly reject_code: number;
  readonly defer_code: number;
  readonly relay_domains_reject_code: number;
  readonly non_fqdn_reject_code: number;
  readonly invalid_hostname_reject_code: number;
  readonly multi_recipient_bounce_reject_code: number;
}

/** One restriction at work. */
export type Restriction = (facts: Facts, knowledge: Knowledge) => Verdict | Promise<Verdict>;

/** `Recipient address` and the like: what a stage is called in replies. */
const CLASS: Readonly<Record<Stage, string>> = {
  client: 'Client host',
  helo: 'Helo command',
  sender: 'Sender address',
  recipient: 'Recipient address',
  data: 'Data command',
  'end-of-data': 'End-of-data',
  etrn: 'Etrn command',
};

const rejected = ({ subject, stage }: Facts, why: string) =>
  `<${subject}>: ${CLASS[stage]} rejected: ${why}`;

/** The restrictions that are built. */
export const RESTRICTIONS: Readonly<Record<string, Restriction>> = {
  permit: () => PERMIT,
  reject: (facts, { codes }) => ({
    kind: 'reject',
    reply: refusal(codes.reject_code, '5.7.1', rejected(facts, 'Access denied')),
  }),
  defer: (facts, { codes }) => ({
    kind: 'reject',
    reply: refusal(codes.defer_code, '4.3.2', rejected(facts, 'Try again later')),
  }),
  defer_if_permit: (facts) => ({
    kind: 'defer-if-permit',
    reply: refusal(450, '4.7.0', rejected(facts, 'defer_if_permit requested')),
  }),
  defer_if_reject: (facts) => ({
    kind: 'defer-if-reject',
    reply: refusal(450, '4.7.0', rejected(facts, 'defer_if_reject requested')),
  }),
  reject_unauth_pipelining: (facts) =>
    facts.pipelined
      ? {
          kind: 'reject',
          reply: refusal(503, '5.5.0', rejected(facts, 'Improper use of SMTP command pipelining')),
        }
      : DUNNO,
  permit_mynetworks: ({ subject, clientAddress, clientNetwork: network }) => {
    if (typeof network === 'object') {
      const note = { severity: 'warn', text: network.failed } as const;
      return { ...lookupFailure(subject, network.failed), note };
    }
    return network === undefined
      ? DUNNO
      : { kind: 'permit', because: `${clientAddress} matches ${network} in mynetworks` };
  },
  permit_inet_interfaces: ({ clientAddress }, { isOwnAddress }) =>
    isOwnAddress(clientAddress) ? PERMIT : DUNNO,
  // Nobody logs in while smtpd_sasl_auth_enable is off, and nobody has a certificate without TLS.
  permit_sasl_authenticated: () => DUNNO,
  permit_tls_clientcerts: () => DUNNO,
  permit_tls_all_clientcerts: () => DUNNO,
  permit_auth_destination: (facts, knowledge) =>
    destinationOf(facts, knowledge) === 'ours' ? PERMIT : DUNNO,
  reject_unauth_destination: (facts, knowledge) =>
    refuseForeign(facts, knowledge, knowledge.codes.relay_domains_reject_code),
  defer_unauth_destination: (facts, knowledge) =>
    refuseForeign(facts, knowledge, knowledge.codes.relay_domains_reject_code - 100),
  reject_unlisted_recipient: ({ recipient, recipientRoute: route }, { checkListed }) =>
    recipient === undefined || route === undefined
      ? DUNNO
      : checkListed('recipient', recipient, route),
  reject_unlisted_sender: ({ sender, senderRoute: route }, { checkListed }) =>
    sender === undefined || route === undefined ? DUNNO : checkListed('sender', sender, route),
  reject_non_fqdn_sender: (facts, { codes }) =>
    requireFullAddress({ ...facts, stage: 'sender', subject: facts.sender ?? '' }, codes),
  reject_non_fqdn_recipient: (facts, { codes }) =>
    requireFullAddress({ ...facts, stage: 'recipient', subject: facts.recipient ?? '' }, codes),
  reject_non_fqdn_helo_hostname: (facts, { codes }) =>
    requireFullHelo({ ...facts, stage: 'helo', subject: facts.helo ?? '' }, codes),
  reject_invalid_helo_hostname: (facts, { codes }) =>
    requireValidHelo({ ...facts, stage: 'helo', subject: facts.helo ?? '' }, codes),
  reject_multi_recipient_bounce: (facts, { codes }) =>
    facts.sender === '' && facts.recipientCount > 1
      ? {
          kind: 'reject',
          reply: refusal(
            codes.multi_recipient_bounce_reject_code,
            '5.5.3',
            rejected(facts, 'Multi-recipient bounce'),
          ),
        }
      : DUNNO,
};

/** Those of them that keep strangers from using us as a relay. One is required. */
export const RELAY_BARRIERS: ReadonlySet<string> = new Set([
  'reject_unauth_destination',
  'defer_unauth_destination',
  'reject',
  'defer',
  'defer_if_permit',
  'check_relay_domains',
]);

/**
 * Whether mail for this recipient is our business. An address that carries its own route
 * (`user%elsewhere@ours`) is nobody's: through it a stranger could relay.
 */
function destinationOf(
  { recipientRoute: route }: Facts,
  { allowsRouting }: Knowledge,
): 'ours' | 'foreign' | 'unknown' {
  if (route === undefined) return 'ours';
  const { flags, recipient } = route;
  if ((flags & RESOLVE.FAIL) !== 0) return 'unknown';
  if (!recipient.includes('@')) return 'ours';
  if ((flags & RESOLVE.ROUTED) !== 0 && !allowsRouting) return 'foreign';
  const ours = RESOLVE.LOCAL | RESOLVE.ALIAS | RESOLVE.VIRTUAL | RESOLVE.RELAY;
  return (flags & ours) !== 0 ? 'ours' : 'foreign';
}

function refuseForeign(facts: Facts, knowledge: Knowledge, code: number): Verdict {
  const recipient = facts.recipient ?? '';
  switch (destinationOf(facts, knowledge)) {
    case 'ours':
      return DUNNO;
    case 'foreign':
      return {
        kind: 'reject',
        reply: refusal(code, '5.7.1', `<${recipient}>: Relay access denied`),
        because: `${recipient} is in none of our domains`,
      };
    case 'unknown':
      return lookupFailure(recipient, 'a table could not be asked');
  }
}

function requireFullAddress(facts: Facts, codes: ReplyCodes): Verdict {
  const address = facts.subject;
  if (address === '') return DUNNO;
  if (facts.stage === 'recipient' && /^postmaster$/i.test(address)) return DUNNO;
  const domain = address.slice(address.lastIndexOf('@') + 1);
  if (address.includes('@') && (domain.startsWith('[') || isFullHost(domain))) return DUNNO;
  return {
    kind: 'reject',
    reply: refusal(
      codes.non_fqdn_reject_code,
      '5.5.2',
      rejected(facts, 'need fully-qualified address'),
    ),
  };
}

function requireFullHelo(facts: Facts, codes: ReplyCodes): Verdict {
  const { helo } = facts;
  if (helo === undefined || isLiteral(helo) || isFullHost(helo)) return DUNNO;
  return {
    kind: 'reject',
    reply: refusal(
      codes.non_fqdn_reject_code,
      '5.5.2',
      rejected(facts, 'need fully-qualified hostname'),
    ),
  };
}

function requireValidHelo(facts: Facts, codes: ReplyCodes): Verdict {
  const { helo } = facts;
  if (helo === undefined || isLiteral(helo) || isHost(helo) || isIP(helo) !== 0) return DUNNO;
  const why = helo.startsWith('[') ? 'invalid ip address' : 'Invalid name';
  const reply = refusal(codes.invalid_hostname_reject_code, '5.5.2', rejected(facts, why));
  return { kind: 'reject', reply };
}
