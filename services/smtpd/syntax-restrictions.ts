/** Restrictions on how a client writes names and addresses. Pure. */
import { isIP } from 'node:net';
import { isHostname } from '../../lib/dns/domain.ts';
import { isFullHost, isLiteral } from './hostname.ts';
import type { Restriction, Settings } from './rule.ts';
import { DUNNO, reject, rejected, type Subject, type Verdict, warning } from './verdict.ts';

const requireValidHelo: Restriction = ({ helo }, { settings }) =>
  helo === undefined ? DUNNO : checkHelo(helo, settings);

const requireFullHelo: Restriction = ({ helo }, { settings }) => {
  if (helo === undefined || (isHostname(helo) && isFullHost(helo))) return DUNNO;
  if (helo.startsWith('[')) return checkHelo(helo, settings);
  const subject: Subject = { name: helo, kind: 'helo' };
  const why = rejected(subject, 'need fully-qualified hostname');
  return reject(settings.non_fqdn_reject_code, '5.5.2', why);
};

export const SYNTAX_RESTRICTIONS: Readonly<Record<string, Restriction>> = {
  reject_non_fqdn_sender: ({ sender = '' }, { settings }) =>
    requireFullAddress({ name: sender, kind: 'sender' }, settings),
  reject_non_fqdn_recipient: ({ recipient = '' }, { settings }) =>
    requireFullAddress({ name: recipient, kind: 'recipient' }, settings),
  reject_non_fqdn_helo_hostname: requireFullHelo,
  reject_non_fqdn_hostname: requireFullHelo,
  reject_invalid_helo_hostname: requireValidHelo,
  reject_invalid_hostname: requireValidHelo,
  permit_naked_ip_address: ({ helo }) => {
    const text =
      'restriction permit_naked_ip_address is deprecated. ' +
      'Use permit_mynetworks or permit_sasl_authenticated instead';
    const kind = helo !== undefined && isIP(helo) !== 0 ? 'permit' : 'dunno';
    return { kind, notes: [warning(text)] };
  },
};

function requireFullAddress(subject: Subject, settings: Settings): Verdict {
  const address = subject.name;
  if (address === '') return DUNNO;
  const domain = address.slice(address.lastIndexOf('@') + 1);
  if (address.includes('@') && (domain.startsWith('[') || isFullHost(domain))) return DUNNO;
  const why = rejected(subject, 'need fully-qualified address');
  return reject(settings.non_fqdn_reject_code, '5.5.2', why);
}

/** A name that could be a host's, an address, or an address in brackets. */
export function checkHelo(helo: string, settings: Settings): Verdict {
  // RFC 5321 4.1.1.1: unlike an address, a name in HELO is never an international one.
  if (isLiteral(helo) || isHostname(helo) || isIP(helo) !== 0) return DUNNO;
  const why = helo.startsWith('[') ? 'invalid ip address' : 'Invalid name';
  return reject(
    settings.invalid_hostname_reject_code,
    '5.5.2',
    rejected({ name: helo, kind: 'helo' }, why),
  );
}
