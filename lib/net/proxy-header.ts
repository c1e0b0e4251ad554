/**
 * The header by which a proxy says for whom it speaks: the PROXY protocol of HAProxy, version 1 (a
 * line of text) and 2 (binary). It comes before anything else on a connection. Pure.
 */
import { isIPv4, isIPv6, type Socket } from 'node:net';

/** Both ends of a client's connection. Ports are decimal numbers. */
export interface Endpoints {
  readonly clientAddress: string;
  readonly clientPort: string;
  readonly serverAddress: string;
  readonly serverPort: string;
}

export interface ProxyHeader {
  /** Bytes of the header; the client's own begin there. */
  readonly length: number;
  /** `undefined`: the proxy speaks for itself, to see whether we are well. */
  readonly endpoints: Endpoints | undefined;
}

/** What a socket itself says of its ends. */
export function socketEndpoints(socket: Socket): Endpoints {
  return {
    clientAddress: plainAddress(socket.remoteAddress ?? '', [4]),
    clientPort: String(socket.remotePort ?? 0),
    serverAddress: plainAddress(socket.localAddress ?? '', [4]),
    serverPort: String(socket.localPort ?? 0),
  };
}

/** The header is malformed, or names nobody. The message is Postfix's. */
export class ProxyHeaderError extends Error {
  override readonly name = 'ProxyHeaderError';
}

/** No header of ours is longer; what is behind the addresses of a longer one has no room. */
export const PROXY_HEADER_MAX = 536;

const V1_START = Buffer.from('PROXY ');
const V2_START = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_FIXED_BYTES = 16;
const V2_VERSION = 0x20;
const V2_COMMAND = { local: 0x20, proxy: 0x21 } as const;
const LF = 0x0a;

interface V2Family {
  readonly family: 4 | 6;
  readonly addressBytes: number;
}

/** Address family and transport: TCP over IPv4 and IPv6. */
const V2_FAMILIES: ReadonlyMap<number, V2Family> = new Map([
  [0x11, { family: 4, addressBytes: 4 }],
  [0x21, { family: 6, addressBytes: 16 }],
]);

/**
 * Reads the header that a connection starts with.
 *
 * @param families the address families that we speak (inet_protocols)
 * @returns `undefined` when the rest of it has still to come
 * @throws {ProxyHeaderError}
 */
export function parseProxyHeader(
  bytes: Buffer,
  families: readonly (4 | 6)[],
): ProxyHeader | undefined {
  if (startsAs(bytes, V2_START)) return parseV2(bytes, families);
  if (startsAs(bytes, V1_START)) return parseV1(bytes, families);
  throw new ProxyHeaderError('unrecognized protocol header');
}

/** Whether `bytes` begin with `start`, as far as they go. */
function startsAs(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.subarray(0, length).equals(start.subarray(0, length));
}

function parseV1(bytes: Buffer, families: readonly (4 | 6)[]): ProxyHeader | undefined {
  const end = bytes.subarray(0, PROXY_HEADER_MAX).indexOf(LF);
  if (end < 0) {
    if (bytes.length < PROXY_HEADER_MAX) return undefined;
    throw new ProxyHeaderError('missing protocol header terminator');
  }
  const words = bytes.toString('latin1', V1_START.length, end).split(/[ \r]+/);
  const [protocol = '', client = '', server = '', clientPort = '', serverPort = ''] = words;
  const family = V1_FAMILIES[protocol];
  // UNKNOWN, too: without an address nobody could say what the client may do.
  if (family === undefined || !families.includes(family)) {
    throw new ProxyHeaderError('bad or missing protocol type');
  }
  const endpoints = {
    clientAddress: parseAddress(client, family, families, 'client'),
    serverAddress: parseAddress(server, family, families, 'server'),
    clientPort: parsePort(clientPort, 'client'),
    serverPort: parsePort(serverPort, 'server'),
  };
  return { length: end + 1, endpoints };
}

const V1_FAMILIES: Readonly<Record<string, 4 | 6>> = { TCP4: 4, TCP6: 6 };

function parseAddress(
  text: string,
  family: 4 | 6,
  families: readonly (4 | 6)[],
  whose: 'client' | 'server',
): string {
  const isValid = family === 4 ? isIPv4(text) : isIPv6(text) && !text.includes('%');
  if (!isValid) throw new ProxyHeaderError(`bad or missing ${whose} address`);
  return plainAddress(text, families);
}

/** IPv4 clients of a socket for both families look like IPv6. */
function plainAddress(address: string, families: readonly (4 | 6)[]): string {
  const inside = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return inside !== undefined && families.includes(4) ? inside : address;
}

function parsePort(text: string, whose: 'client' | 'server'): string {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 0xffff) {
    throw new ProxyHeaderError(`bad or missing ${whose} port`);
  }
  return text;
}

function parseV2(bytes: Buffer, families: readonly (4 | 6)[]): ProxyHeader | undefined {
  if (bytes.length < V2_FIXED_BYTES) return undefined;
  const command = bytes.readUInt8(12);
  if ((command & 0xf0) !== V2_VERSION) throw new ProxyHeaderError('unrecognized protocol version');
  const length = V2_FIXED_BYTES + bytes.readUInt16BE(14);
  if (length > PROXY_HEADER_MAX) throw new ProxyHeaderError('too long protocol header');
  if (bytes.length < length) return undefined;
  if (command === V2_COMMAND.local) return { length, endpoints: undefined };
  if (command !== V2_COMMAND.proxy) throw new ProxyHeaderError('bad command in proxy header');
  const known = V2_FAMILIES.get(bytes.readUInt8(13));
  if (known === undefined) throw new ProxyHeaderError('unsupported network protocol');
  const { family, addressBytes } = known;
  if (!families.includes(family)) {
    throw new ProxyHeaderError(`Postfix IPv${family} support is disabled`);
  }
  if (length < V2_FIXED_BYTES + 2 * addressBytes + 4) {
    throw new ProxyHeaderError('short address field');
  }
  const address = (offset: number) => {
    const raw = bytes.subarray(V2_FIXED_BYTES + offset, V2_FIXED_BYTES + offset + addressBytes);
    return plainAddress(formatAddress(raw, family), families);
  };
  const port = (offset: number) => String(bytes.readUInt16BE(V2_FIXED_BYTES + offset));
  const endpoints = {
    clientAddress: address(0),
    serverAddress: address(addressBytes),
    clientPort: port(2 * addressBytes),
    serverPort: port(2 * addressBytes + 2),
  };
  return { length, endpoints };
}

/** As the C library writes it: RFC 5952. */
function formatAddress(raw: Buffer, family: 4 | 6): string {
  if (family === 4) return raw.join('.');
  if (raw.subarray(0, 10).every((byte) => byte === 0) && raw.readUInt16BE(10) === 0xffff) {
    return `::ffff:${raw.subarray(12).join('.')}`;
  }
  const groups = Array.from({ length: 8 }, (_, at) => raw.readUInt16BE(at * 2).toString(16));
  const text = groups.join(':');
  const runs = [...text.matchAll(/(?:^|(?<=:))0(?::0)+(?=:|$)/g)];
  const longest = runs.reduce((best, [run]) => (run.length > best.length ? run : best), '');
  if (longest === '') return text;
  const at = runs.find(([run]) => run === longest)?.index ?? 0;
  const before = text.slice(0, at).replace(/:$/, '');
  const after = text.slice(at + longest.length).replace(/^:/, '');
  return `${before}::${after}`;
}
