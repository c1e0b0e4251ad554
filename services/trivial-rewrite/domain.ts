/** Which domains an address may name at all. */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { isHostname, toAsciiDomain } from '../../lib/dns/domain.ts';

/** `[192.0.2.1]`, `[IPv6:2001:db8::1]`: the address inside; undefined when it is none. */
export function literalAddress(domain: string): string | undefined {
  if (!domain.startsWith('[') || !domain.endsWith(']')) return undefined;
  const inside = domain.slice(1, -1);
  if (isIPv4(inside)) return inside;
  if (!/^ipv6:/i.test(inside)) return undefined;
  const address = inside.slice(5);
  return isIPv6(address) && !address.includes('%') ? address : undefined;
}

/** Whether mail can be sent there: a host name, perhaps an international one. */
export function isMailDomain(domain: string, utf8: boolean): boolean {
  if (domain.endsWith('.')) return false;
  const ascii = utf8 ? toAsciiDomain(domain) : domain;
  return ascii !== undefined && isHostname(ascii);
}

/** An IP address without the brackets that it should have. */
export function isBareAddress(domain: string): boolean {
  return isIP(domain) !== 0 && !domain.includes('%');
}
