/** Groups that keys are exchanged in, and which of them a TLS 1.3 handshake takes. Pure. */
import type { ClientHello } from './client-hello.ts';

/** By the numbers of RFC 8446 4.2.7 and RFC 7919: the names that OpenSSL and our settings use. */
const GROUPS: ReadonlyMap<number, string> = new Map([
  [23, 'prime256v1'],
  [24, 'secp384r1'],
  [25, 'secp521r1'],
  [29, 'X25519'],
  [30, 'X448'],
  [256, 'ffdhe2048'],
  [257, 'ffdhe3072'],
  [258, 'ffdhe4096'],
  [259, 'ffdhe6144'],
  [260, 'ffdhe8192'],
]);

const ALIASES: Readonly<Record<string, string>> = {
  'p-256': 'prime256v1',
  secp256r1: 'prime256v1',
  'p-384': 'secp384r1',
  'p-521': 'secp521r1',
};

/** The name of a group as we know it; `undefined` for one that TLS 1.3 does not have. */
export function groupName(text: string): string | undefined {
  const name = ALIASES[text.toLowerCase()] ?? text;
  return [...GROUPS.values()].find((known) => known.toLowerCase() === name.toLowerCase());
}

/**
 * The group of a TLS 1.3 handshake: the first of the client's key shares that we support, else,
 * after a round more, the first of its groups. So chooses OpenSSL 3 for a server that leaves the
 * choice to the client.
 *
 * @param supported names, as of groupName
 */
export function chosenGroup(
  hello: Pick<ClientHello, 'groups' | 'keyShares'>,
  supported: readonly string[],
): string | undefined {
  const isShared = (name: string | undefined) => name !== undefined && supported.includes(name);
  const names = [...hello.keyShares, ...hello.groups].map((number) => GROUPS.get(number));
  return names.find(isShared);
}

/** `X25519`, `ECDHE (prime256v1)`, `DHE (2048 bits)`: a group in Postfix's words. */
export function describeGroup(name: string): string {
  const bits = /^ffdhe(\d+)$/.exec(name)?.[1];
  if (bits !== undefined) return `DHE (${bits} bits)`;
  return name.startsWith('X') ? name : `ECDHE (${name})`;
}
