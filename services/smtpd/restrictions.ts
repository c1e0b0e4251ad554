/**
 * The restrictions of smtpd_*_restrictions: a table from name to function. Each looks at the facts
 * of the session and gives one verdict; none has an effect. Postfix: postconf(5).
 *
 * What Postfix knows and this table does not is refused by name when the list is read.
 */
import { RESOLVE, type Resolution } from '../../lib/clients/rewrite.ts';
import { DUNNO, PERMIT, refusal, type Verdict } from './verdict.ts';

/** Where a list is looked at decides what it speaks of. */
export type Stage = 'client' | 'helo' | 'sender' | 'recipient' | 'data' | 'end-of-data' | 'etrn';

/** What restrictions may look at. */
export interface Facts {
  readonly stage: Stage;
  /** What a refusal names: the client, the HELO name, an address. */
  readonly subject: string;
  readonly clientAddress: string;
  readonly clientLabel: string;
  readonly helo: string | undefined;
  readonly sender: string | undefined;
  readonly recipient: string | undefined;
  readonly recipientCount: number;
  /** The client sent more before it had our reply, where it may not. */
  readonly pipelined: boolean;
}

/** What restrictions may ask. Every answer may take a while. */
export interface Knowledge {
  /** The pattern of `mynetworks` that the address matches. */
  matchMynetworks(address: string): Promise<string | undefined>;
  isOwnAddress(address: string): boolean;
  resolve(sender: string, recipient: string): Promise<Resolution>;
  /** A refusal when the address is in one of our domains, and nobody there has it. */
  checkListed(stage: 'sender' | 'recipient', address: string): Promise<Verdict>;
  readonly codes: ReplyCodes;
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
  permit_mynetworks: async ({ clientAddress }, { matchMynetworks }) => {
    const pattern = await matchMynetworks(clientAddress);
    return pattern === undefined
      ? DUNNO
      : { kind: 'permit', because: `${clientAddress} matches ${pattern} in mynetworks` };
  },
  permit_inet_interfaces: ({ clientAddress }, { isOwnAddress }) =>
    isOwnAddress(clientAddress) ? PERMIT : DUNNO,
  // Nobody logs in while smtpd_sasl_auth_enable is off, and nobody has a certificate without TLS.
  permit_sasl_authenticated: () => DUNNO,
  permit_tls_clientcerts: () => DUNNO,
  permit_tls_all_clientcerts: () => DUNNO,
  permit_auth_destination: async (facts, knowledge) =>
    (await destinationOf(facts, knowledge)) === 'ours' ? PERMIT : DUNNO,
  reject_unauth_destination: (facts, knowledge) =>
    refuseForeign(facts, knowledge, knowledge.codes.relay_domains_reject_code),
  defer_unauth_destination: (facts, knowledge) =>
    refuseForeign(facts, knowledge, knowledge.codes.relay_domains_reject_code - 100),
  reject_unlisted_recipient: ({ recipient }, { checkListed }) =>
    recipient === undefined ? DUNNO : checkListed('recipient', recipient),
  reject_unlisted_sender: ({ sender }, { checkListed }) =>
    sender === undefined || sender === '' ? DUNNO : checkListed('sender', sender),
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
async function destinationOf(
  { sender, recipient }: Facts,
  { resolve }: Knowledge,
): Promise<'ours' | 'foreign' | 'unknown'> {
  if (recipient === undefined || !recipient.includes('@')) return 'ours';
  const { flags } = await resolve(sender ?? '', recipient);
  if ((flags & RESOLVE.FAIL) !== 0) return 'unknown';
  if ((flags & RESOLVE.ROUTED) !== 0) return 'foreign';
  const ours = RESOLVE.LOCAL | RESOLVE.ALIAS | RESOLVE.VIRTUAL | RESOLVE.RELAY;
  return (flags & ours) !== 0 ? 'ours' : 'foreign';
}

async function refuseForeign(facts: Facts, knowledge: Knowledge, code: number): Promise<Verdict> {
  const { recipient } = facts;
  switch (await destinationOf(facts, knowledge)) {
    case 'ours':
      return DUNNO;
    case 'foreign':
      return {
        kind: 'reject',
        reply: refusal(code, '5.7.1', `<${recipient}>: Relay access denied`),
        because: `${recipient} is in none of our domains`,
      };
    case 'unknown':
      return {
        kind: 'reject',
        reply: refusal(451, '4.3.0', `<${recipient}>: Temporary lookup failure`),
        because: 'a table could not be asked',
      };
  }
}

function requireFullAddress(facts: Facts, codes: ReplyCodes): Verdict {
  const address = facts.subject;
  if (address === '') return DUNNO;
  const domain = address.slice(address.lastIndexOf('@') + 1);
  if (address.includes('@') && (isLiteral(domain) || isFullName(domain))) return DUNNO;
  if (facts.stage === 'recipient' && /^postmaster$/i.test(address)) return DUNNO;
  const reply = refusal(
    codes.non_fqdn_reject_code,
    '5.5.2',
    rejected(facts, 'need fully-qualified address'),
  );
  return { kind: 'reject', reply };
}

function requireFullHelo(facts: Facts, codes: ReplyCodes): Verdict {
  if (facts.helo === undefined || isLiteral(facts.helo) || isFullName(facts.helo)) return DUNNO;
  const reply = refusal(
    codes.non_fqdn_reject_code,
    '5.5.2',
    rejected(facts, 'need fully-qualified hostname'),
  );
  return { kind: 'reject', reply };
}

function requireValidHelo(facts: Facts, codes: ReplyCodes): Verdict {
  const { helo } = facts;
  if (helo === undefined || isHostname(helo)) return DUNNO;
  if (helo.startsWith('[') && isAddressLiteral(helo)) return DUNNO;
  const why = helo.startsWith('[') ? 'invalid ip address' : 'Invalid name';
  const reply = refusal(codes.invalid_hostname_reject_code, '5.5.2', rejected(facts, why));
  return { kind: 'reject', reply };
}

const isLiteral = (name: string) => name.startsWith('[');
const isFullName = (name: string) => isHostname(name) && /[^.]\.[^.]/.test(name);
const isAddressLiteral = (name: string) => /^\[(?:IPv6:[0-9a-f:.]+|\d+(?:\.\d+){3})\]$/i.test(name);

/** Letters, digits, hyphens and underscores between dots, each label of at most 63. */
function isHostname(name: string): boolean {
  if (name.length === 0 || name.length > 255) return false;
  const labels = name.replace(/\.$/, '').split('.');
  return labels.every((label) =>
    /^[\w\u0080-\uffff](?:[\w\u0080-\uffff-]{0,61}[\w\u0080-\uffff])?$/.test(label),
  );
}
