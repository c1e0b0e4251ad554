/** Networks: `192.0.2.0/24`, `[2001:db8::]/32`. */
import { isIP } from 'node:net';
import { type Family, maskAddress, parseAddress } from './networks.ts';

export interface Network {
  readonly family: Family;
  readonly bytes: readonly number[];
  readonly bits: number;
}

/** A network, or why the text is not one, in Postfix's words. */
export function parseNetwork(text: string): Network | string {
  const [head = '', mask] = text.split('/');
  const address = head.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(address);
  if (family !== 4 && family !== 6) return `bad net/mask pattern: "${text}"`;
  const width = family === 4 ? 32 : 128;
  const bits = mask === undefined ? width : /^\d{1,3}$/.test(mask) ? Number(mask) : width + 1;
  if (bits > width) return `bad mask length in "${text}"`;
  const network = maskAddress(address, family, bits);
  const bytes = parseAddress(address, family);
  if (parseAddress(network, family).some((byte, index) => byte !== bytes[index])) {
    const better = head.startsWith('[') ? `[${network}]` : network;
    const hint = `perhaps you should use "${better}/${bits}" instead`;
    return `non-null host address bits in "${text}", ${hint}`;
  }
  return { family, bytes, bits };
}

/** What was asked for last: a client is looked for in one network after the other, and in many lists. */
let last: { text: string; family: number; bytes: readonly number[] } | undefined;

function bytesOf(text: string): NonNullable<typeof last> {
  if (last?.text === text) return last;
  const family = isIP(text);
  last = { text, family, bytes: family === 4 || family === 6 ? parseAddress(text, family) : [] };
  return last;
}

export function networkContains(network: Network, address: string): boolean {
  const { family, bytes } = bytesOf(address);
  if (family !== network.family) return false;
  for (let at = 0, bits = network.bits; bits > 0; at += 1, bits -= 8) {
    const differs = (bytes[at] as number) ^ (network.bytes[at] as number);
    if (differs >> Math.max(0, 8 - bits) !== 0) return false;
  }
  return true;
}
