/** IP networks as numbers: `10.0.0.0/8`, `[2001:db8::]/32`, `192.0.2.1`. */
import { isIPv4, isIPv6 } from 'node:net';

/** An address: one 32-bit word (IPv4), or four (IPv6). */
export type AddressWords = readonly number[];

export interface Network {
  readonly words: AddressWords;
  /** Ones where the address counts. */
  readonly mask: AddressWords;
}

/** What is wrong with the text of a network. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
}

/** Parses an address without brackets; undefined when it is none. */
export function parseAddress(text: string): AddressWords | undefined {
  if (isIPv4(text)) return [quad(text)];
  if (isIPv6(text) && !text.includes('%')) return parseV6(text);
  return undefined;
}

/** Parses `net/length` or an address, IPv6 perhaps in brackets. @throws {NetworkError} */
export function parseNetwork(text: string): Network {
  const slash = text.lastIndexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const words = parseAddress(withoutBrackets(address));
  if (slash < 0) {
    if (words === undefined) throw new NetworkError(`bad address pattern: "${text}"`);
    return { words, mask: maskOf(words.length, words.length * 32) };
  }
  if (words === undefined) throw new NetworkError(`bad network value in "${text}"`);
  const length = text.slice(slash + 1);
  if (!/^[0-9]{1,5}$/.test(length)) throw new NetworkError(`bad mask value in "${text}"`);
  const bits = Number(length);
  if (bits > words.length * 32) throw new NetworkError(`bad mask length in "${text}"`);
  const mask = maskOf(words.length, bits);
  const network = words.map((word, index) => (word & (mask[index] ?? 0)) >>> 0);
  if (words.some((word, index) => word !== network[index])) {
    throw new NetworkError(
      `non-null host address bits in "${text}", perhaps you should use "${formatAddress(network)}/${bits}" instead`,
    );
  }
  return { words, mask };
}

/** Whether the address lies in the network; never, when they are of different families. */
export function contains({ words, mask }: Network, address: AddressWords): boolean {
  if (words.length !== address.length) return false;
  for (let at = 0; at < words.length; at += 1) {
    if (((address[at] ?? 0) & (mask[at] ?? 0)) >>> 0 !== words[at]) return false;
  }
  return true;
}

function withoutBrackets(text: string): string {
  return text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
}

function maskWord(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? 0xffff_ffff : (0xffff_ffff << (32 - bits)) >>> 0;
}

/** All that there are: large tables have millions of networks. */
const MASKS_V4 = Array.from({ length: 33 }, (_, bits) => [maskWord(bits)]);
const MASKS_V6 = Array.from({ length: 129 }, (_, bits) =>
  [0, 32, 64, 96].map((before) => maskWord(bits - before)),
);

function maskOf(wordCount: number, bits: number): AddressWords {
  return (wordCount === 1 ? MASKS_V4 : MASKS_V6)[bits] ?? [];
}

function quad(text: string): number {
  let word = 0;
  for (const part of text.split('.')) word = ((word << 8) | Number(part)) >>> 0;
  return word;
}

/** The text is known to be an address; large tables have millions. */
function parseV6(text: string): AddressWords {
  const groups: number[] = [];
  let gap = -1;
  let start = 0;
  for (let at = 0; at <= text.length; at += 1) {
    if (at < text.length && text.charCodeAt(at) !== COLON) continue;
    if (at > start) pushGroup(groups, text.slice(start, at));
    else if (at > 0 && at < text.length) gap = groups.length;
    start = at + 1;
  }
  const missing = 8 - groups.length;
  const group = (index: number) => {
    if (gap < 0 || index < gap) return groups[index] ?? 0;
    return index < gap + missing ? 0 : (groups[index - missing] ?? 0);
  };
  const word = (index: number) => ((group(index) << 16) | group(index + 1)) >>> 0;
  return [word(0), word(2), word(4), word(6)];
}

const COLON = 58;

function pushGroup(groups: number[], text: string): void {
  if (text.includes('.')) {
    const word = quad(text);
    groups.push(word >>> 16, word & 0xffff);
  } else {
    groups.push(Number.parseInt(text, 16));
  }
}

/** `10.0.0.0`, `2001:db8::`: the longest run of zero groups is left out. */
export function formatAddress(words: AddressWords): string {
  if (words.length === 1) {
    const [word = 0] = words;
    return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].join('.');
  }
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  const hex = groups.map((group) => group.toString(16));
  const { start, length } = longestZeros(groups);
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  return best;
}
