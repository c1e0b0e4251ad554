/** The machine's own addresses, and the networks it belongs to. */
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { lookupHost } from '../os/host-addresses.ts';
import { splitList } from './list.ts';

/** The network settings make no sense; `message` is Postfix's text. */
export class NetworkError extends Error {}

export type Family = 4 | 6;

export interface OwnAddress {
  readonly address: string;
  readonly family: Family;
  /** Length of the network's prefix, in bits. */
  readonly prefix: number;
}

/** The families that inet_protocols names and the machine has. */
export function parseProtocols(text: string): readonly Family[] {
  const families = new Set<Family>();
  for (const word of splitList(text)) {
    if (word === 'all' || word === 'ipv4') families.add(4);
    if (word === 'ipv6' || (word === 'all' && existsSync('/proc/net/if_inet6'))) families.add(6);
    if (!['all', 'ipv4', 'ipv6'].includes(word)) {
      throw new NetworkError(`unknown inet_protocols value "${word}" in "${text}"`);
    }
  }
  if (families.size === 0) throw new NetworkError('no protocols specified in inet_protocols');
  return ([4, 6] as const).filter((family) => families.has(family));
}

/** The addresses that inet_interfaces stands for, IPv4 first. */
export function ownAddresses(interfaces: string, protocols: string): readonly OwnAddress[] {
  const families = parseProtocols(protocols);
  const local = localAddresses();
  const ownOf = (address: string): OwnAddress => {
    const own = local.find((candidate) => candidate.address === address);
    if (own !== undefined) return own;
    throw new NetworkError(`parameter inet_interfaces: no local interface found for ${address}`);
  };
  const named = splitList(interfaces).map((item) => {
    if (item === 'all') return local;
    if (item === 'loopback-only') return local.filter(({ address }) => isLoopback(address));
    return addressesOfHost(item, families);
  });
  // A name that is none is said before an address that is another machine's.
  const chosen = named.flatMap((list) =>
    list.map((entry) => (typeof entry === 'string' ? ownOf(entry) : entry)),
  );
  if (chosen.length === 0) {
    throw new NetworkError('config variable inet_interfaces: no interfaces found');
  }
  return families.flatMap((family) => chosen.filter((own) => own.family === family));
}

/** The default of mynetworks: the networks of the machine's own addresses. */
export function networksByStyle(style: string, addresses: readonly OwnAddress[]): string {
  const widths = ['host', 'subnet', 'class'];
  if (!widths.includes(style)) {
    throw new NetworkError(`unknown mynetworks mask style value "${style}" in "${style}"`);
  }
  const networks = addresses.map(({ address, family, prefix }) => {
    const full = family === 4 ? 32 : 128;
    const bits = style === 'host' ? full : style === 'subnet' ? prefix : classBits(address, prefix);
    const network = maskAddress(address, family, bits);
    return family === 4 ? `${network}/${bits}` : `[${network}]/${bits}`;
  });
  return [...new Set(networks)].join(' ');
}

function localAddresses(): OwnAddress[] {
  const infos = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return infos.map((info: NetworkInterfaceInfo) => ({
    address: info.address,
    family: info.family === 'IPv4' ? 4 : 6,
    prefix: Number(info.cidr?.split('/')[1] ?? (info.family === 'IPv4' ? 32 : 128)),
  }));
}

/** A literal address, or those of a name: from /etc/hosts, or else wherever libc finds them. */
function addressesOfHost(item: string, families: readonly Family[]): string[] {
  const literal = item.replace(/^\[(.*)\]$/, '$1');
  const candidates = isIP(literal) === 0 ? addressesOfName(item) : [literal];
  const found = candidates.filter((address) => families.some((family) => family === isIP(address)));
  if (found.length > 0) return found;
  throw new NetworkError(`config variable inet_interfaces: host not found: ${item}`);
}

/** All addresses of a host's name; none when nobody knows it. It may wait for the DNS. */
export function addressesOfName(name: string): string[] {
  const wanted = name.toLowerCase();
  const listed = hostsLines()
    .filter(([, ...names]) => names.some((each) => each.toLowerCase() === wanted))
    .map(([address]) => address ?? '')
    .filter((address) => isIP(address) !== 0);
  return listed.length > 0 ? listed : lookupHost(name);
}

function hostsLines(): string[][] {
  const text = existsSync('/etc/hosts') ? readFileSync('/etc/hosts', 'utf8') : '';
  return text.split('\n').map((line) => line.replace(/#.*/, '').trim().split(/\s+/));
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

function classBits(address: string, prefix: number): number {
  const first = Number(address.split('.')[0]);
  if (address.includes(':')) return prefix;
  return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
}

/** The address with all but its first `bits` bits cleared, in its shortest form. */
export function maskAddress(address: string, family: Family, bits: number): string {
  const masked = parseAddress(address, family).map((byte, index) => {
    const keep = Math.min(8, Math.max(0, bits - index * 8));
    return byte & (0xff << (8 - keep)) & 0xff;
  });
  return family === 4 ? masked.join('.') : formatIpv6(masked);
}

/** The 4 or 16 bytes of a valid address. */
export function parseAddress(address: string, family: Family): number[] {
  if (family === 4) return address.split('.').map(Number);
  const [head = '', tail] = address.replace(/%.*/, '').split('::');
  const left = parseGroups(head);
  const right = tail === undefined ? [] : parseGroups(tail);
  return [...left, ...new Array<number>(16 - left.length - right.length).fill(0), ...right];
}

function parseGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function formatIpv6(bytes: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  // The longest run of zero groups, of two at least, is written `::`: RFC 5952 4.2.
  const runs = [...groups.join(':').matchAll(/(?<=^|:)0(?::0)+(?=:|$)/g)];
  const longest = runs.reduce((best, [run]) => (run.length > best.length ? run : best), '');
  const text = groups.join(':');
  if (longest === '') return text;
  const at = runs.find(([run]) => run === longest)?.index ?? 0;
  const before = text.slice(0, at).replace(/:$/, '');
  const after = text.slice(at + longest.length).replace(/^:/, '');
  return `${before}::${after}`;
}
