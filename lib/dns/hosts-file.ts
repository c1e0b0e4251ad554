import { isIPv4, isIPv6 } from 'node:net';
import type { AddressRecord } from './answer.ts';

/** hosts(5): addresses and names that need no DNS. */
export interface HostsFile {
  addressesOf(name: string): readonly AddressRecord[];
  nameOf(address: string): string | undefined;
}

export function parseHostsFile(text: string): HostsFile {
  const addresses = new Map<string, AddressRecord[]>();
  const names = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [address = '', ...words] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIPv4(address) ? 4 : isIPv6(address) ? 6 : undefined;
    if (family === undefined || words[0] === undefined) continue;
    if (!names.has(address)) names.set(address, words[0]);
    for (const word of words) {
      const name = word.toLowerCase();
      addresses.set(name, [...(addresses.get(name) ?? []), { family, address }]);
    }
  }
  return {
    addressesOf: (name) => addresses.get(name.toLowerCase()) ?? [],
    nameOf: (address) => names.get(address),
  };
}
