/** Names that a client gives for a host: in HELO, after an `@`, in ETRN. Pure. */
import { isIPv4, isIPv6 } from 'node:net';
import { isHostname, toAsciiDomain } from '../../lib/dns/domain.ts';

/** A host's name, perhaps an international one; it may end in a dot. */
export function isHost(name: string): boolean {
  const ascii = toAsciiDomain(name);
  return ascii !== undefined && isHostname(ascii);
}

/** A host's name with a domain. */
export function isFullHost(name: string): boolean {
  return isHost(name) && name.replace(/\.$/, '').includes('.');
}

/** What a client calls itself goes into the log, the Received header and the queue file. */
export function sanitizeName(name: string): string {
  return name.replace(/[^\x21-\x7e\u00a0-\ufffc\ufffe\uffff]|[<>()\\";@]/g, '?');
}

/** `[192.0.2.1]`, `[IPv6:2001:db8::1]`. */
export function isLiteral(name: string): boolean {
  if (!name.startsWith('[') || !name.endsWith(']')) return false;
  const inside = name.slice(1, -1);
  return isIPv4(inside) || (/^ipv6:/i.test(inside) && isIPv6(inside.slice(5)));
}
