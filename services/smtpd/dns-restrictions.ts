/** reject_unknown_*: what a client calls itself, or gives as a domain, has to be in the DNS. */
import { RESOLVE, type Resolution } from '../../lib/clients/rewrite.ts';
import { type DnsAnswer, isNullMx } from '../../lib/dns/answer.ts';
import type { Resolver } from '../../lib/dns/resolver.ts';
import { emptiedNote, isEmptied } from './dns-reply-filter.ts';
import type { Knowledge, Restriction } from './rule.ts';
import { checkHelo } from './syntax-restrictions.ts';
import {
  DUNNO,
  lookupFailure,
  refusal,
  reject,
  rejected,
  type Subject,
  type Verdict,
} from './verdict.ts';

const requireClientName: Restriction = ({ client }, { settings }) =>
  client.nameStatus === 'found'
    ? DUNNO
    : reject(
        client.nameStatus === 'again' ? 450 : settings.unknown_client_reject_code,
        '4.7.25',
        `Client host rejected: cannot find your hostname, [${client.address}]`,
      );

const requireKnownHelo: Restriction = ({ helo }, knowledge) => {
  if (helo === undefined) return DUNNO;
  return helo.startsWith('[') ? checkHelo(helo, knowledge.settings) : requireHost(helo, knowledge);
};

const requireSenderDomain: Restriction = ({ sender = '', senderRoute }, knowledge) =>
  sender === '' ? DUNNO : requireDomain({ name: sender, kind: 'sender' }, senderRoute, knowledge);

const requireRecipientDomain: Restriction = ({ recipient = '', recipientRoute }, knowledge) =>
  recipient === ''
    ? DUNNO
    : requireDomain({ name: recipient, kind: 'recipient' }, recipientRoute, knowledge);

export const DNS_RESTRICTIONS: Readonly<Record<string, Restriction>> = {
  reject_unknown_client_hostname: requireClientName,
  reject_unknown_client: requireClientName,
  reject_unknown_reverse_client_hostname: ({ client }, { settings }) =>
    client.reverseStatus === 'found'
      ? DUNNO
      : reject(
          client.reverseStatus === 'again' ? 450 : settings.unknown_client_reject_code,
          '4.7.1',
          `Client host rejected: cannot find your reverse hostname, [${client.address}]`,
        ),
  reject_unknown_helo_hostname: requireKnownHelo,
  reject_unknown_hostname: requireKnownHelo,
  reject_unknown_sender_domain: requireSenderDomain,
  reject_unknown_address: requireSenderDomain,
  reject_unknown_recipient_domain: requireRecipientDomain,
};

async function requireHost(
  name: string,
  { resolver, families, settings }: Knowledge,
): Promise<Verdict> {
  const found = await firstFound([
    () => resolver.lookupAddresses(name, families),
    () => resolver.lookupMx(name),
  ]);
  const subject: Subject = { name, kind: 'helo' };
  if (isEmptied(found)) return { kind: 'dunno', notes: [emptiedNote(name, 'address or MX')] };
  return judge(found, subject, 'Host not found', {
    code: settings.unknown_hostname_reject_code,
    status: '4.7.1',
    action: settings.unknown_helo_hostname_tempfail_action,
  });
}

async function requireDomain(
  subject: Subject,
  route: Resolution | undefined,
  { resolver, families, settings }: Knowledge,
): Promise<Verdict> {
  if (route === undefined) return DUNNO;
  const { flags, recipient } = route;
  if ((flags & RESOLVE.FAIL) !== 0) return lookupFailure(subject.name, 'a table has no answer');
  const domain = recipient.slice(recipient.lastIndexOf('@') + 1);
  const own = RESOLVE.LOCAL | RESOLVE.ALIAS | RESOLVE.VIRTUAL;
  if (!recipient.includes('@') || (flags & own) !== 0 || /^\[.*\]$/.test(domain)) return DUNNO;
  const exchangers = await resolver.lookupMx(domain);
  if (exchangers.status === 'found' && isNullMx(exchangers.records)) {
    const text = rejected(subject, `Domain ${domain} does not accept mail (nullMX)`);
    return subject.kind === 'sender' ? reject(550, '5.7.27', text) : reject(556, '5.1.10', text);
  }
  const found = await firstFound([
    async () => exchangers,
    () => resolver.lookupAddresses(domain, families),
  ]);
  if (isEmptied(found)) return { kind: 'dunno', notes: [emptiedNote(domain, 'MX or address')] };
  return judge(found, subject, 'Domain not found', {
    code: settings.unknown_address_reject_code,
    status: subject.kind === 'sender' ? '4.1.8' : '4.1.2',
    action: settings.unknown_address_tempfail_action,
  });
}

type Lookup = () => ReturnType<Resolver['lookupMx']> | ReturnType<Resolver['lookupAddresses']>;

/** What the first says that finds something or makes no sense; else trouble that may pass. */
async function firstFound(lookups: readonly Lookup[]): Promise<DnsAnswer<unknown>> {
  const answers: DnsAnswer<unknown>[] = [];
  for (const lookup of lookups) {
    const answer = await lookup();
    if (answer.status === 'found' || answer.status === 'invalid') return answer;
    answers.push(answer);
  }
  const last = answers.at(-1) as DnsAnswer<unknown>;
  return answers.find(({ status }) => status === 'again') ?? answers.find(isEmptied) ?? last;
}

function judge(
  { status: found, reason }: DnsAnswer<unknown>,
  subject: Subject,
  missing: string,
  { code, status, action }: { code: number; status: string; action: string },
): Verdict {
  if (found === 'found') return DUNNO;
  if (found === 'again') return tempfail(action, status, rejected(subject, missing), reason);
  const why = found === 'invalid' ? 'Malformed DNS server reply' : missing;
  return reject(code, status, rejected(subject, why), { because: reason });
}

/** `reject_tempfail_action` and those after it: now, or only if all else permits. */
export function tempfail(action: string, status: string, text: string, because: string): Verdict {
  const kind = action.toLowerCase() === 'defer' ? 'reject' : 'defer-if-permit';
  return { kind, reply: refusal(450, status, text), because };
}

/** What a client says for itself, where a list may want its domain. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1);
}
