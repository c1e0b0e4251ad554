import { isIP, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Configuration } from '../lib/config/configuration.ts';
import { splitList } from '../lib/config/configuration.ts';
import { addressesOfName } from '../lib/config/networks.ts';
import { FatalError } from '../lib/log/fatal.ts';

/**
 * The addresses that an inet service listens on. `host` is what master.cf names, or empty for
 * all of `inet_interfaces`; `inet_protocols` drops the families that are switched off.
 *
 * @throws {FatalError} when nothing is left, or a name has no address
 */
export function listenAddresses(configuration: Configuration, host: string): string[] {
  const wanted = wantedProtocols(configuration);
  const names = host === '' ? splitList(configuration.get('inet_interfaces')) : [host];
  const found = names.flatMap((name) => addressesOf(name)).filter((address) => wanted(address));
  const unique = [...new Set(found)];
  if (unique.length > 0) return unique;
  const source = host === '' ? `inet_interfaces = ${names.join(' ')}` : `master.cf host "${host}"`;
  throw new FatalError(
    `${source}: no address to listen on (inet_protocols = ${configuration.get('inet_protocols')})`,
  );
}

/** Whether a host of master.cf is an address, or a name that somebody knows. */
export function isHost(host: string): boolean {
  return isIP(host) !== 0 || addressesOfName(host).length > 0;
}

function wantedProtocols(configuration: Configuration): (address: string) => boolean {
  const protocols = splitList(configuration.get('inet_protocols'));
  const all = protocols.includes('all');
  const v6 = (all || protocols.includes('ipv6')) && hasIpv6();
  const v4 = all || protocols.includes('ipv4');
  return (address) => (isIPv4(address) ? v4 : v6);
}

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((address) => address.family === 'IPv6'),
  );
}

function addressesOf(name: string): string[] {
  if (name === 'all') return ['0.0.0.0', '::'];
  if (name === 'loopback-only') return loopbackAddresses();
  const literal = name.replace(/^\[(?:IPv6:)?(.*)\]$/i, '$1');
  if (isIP(literal) !== 0) return [literal];
  const found = addressesOfName(literal);
  if (found.length > 0) return found;
  throw new FatalError(
    `host not found: "${name}"; use its address, or add it to /etc/hosts or the DNS`,
  );
}

function loopbackAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((address) => address.internal)
    .map((address) => address.address);
}
