import { isIPv4, isIPv6 } from 'node:net';

/** `192.0.2.1` as `1.2.0.192.in-addr.arpa`; 32 nibbles and `ip6.arpa` for IPv6. */
export function reverseName(address: string): string | undefined {
  if (isIPv4(address)) return `${reversedOctets(address)}.in-addr.arpa`;
  if (!isIPv6(address)) return undefined;
  return `${reversedClient(address)}.ip6.arpa`;
}

/** An address as DNS lists are asked with it: octets or nibbles, the last first. */
export function reversedClient(address: string): string {
  if (isIPv4(address)) return reversedOctets(address);
  return [...expandIpv6(address).join('')].reverse().join('.');
}

/** `192.0.2.1` as `1.2.0.192`. */
export function reversedOctets(address: string): string {
  return address.split('.').reverse().join('.');
}

/** Eight groups of four hexadecimal digits. */
export function expandIpv6(address: string): string[] {
  const plain = (address.split('%')[0] ?? '').replace(/\d+\.\d+\.\d+\.\d+$/, (v4) => {
    const [a = 0, b = 0, c = 0, d = 0] = v4.split('.').map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(Math.max(0, middle)).fill('0'), ...right];
  return groups.map((group) => group.padStart(4, '0').toLowerCase());
}
