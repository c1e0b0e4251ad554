/**
 * The addresses of a host, as libc knows them: /etc/hosts, the DNS, or wherever nsswitch.conf leads.
 * It waits, so it is for programs that start; whoever has clients asks lib/dns.
 */
import { declare } from './native.ts';
import { AF_INET, AF_INET6 } from './socket-address.ts';

const getaddrinfo = declare(
  'int getaddrinfo(const char *name, const char *service, void *hints, void *result)',
);
const freeaddrinfo = declare<void>('void freeaddrinfo(void *list)');
const inetNtop = declare<string>(
  'const char *inet_ntop(int family, void *address, void *text, uint32_t size)',
);
const memcpy = declare<void>('void *memcpy(void *to, void *from, size_t size)');

/** struct addrinfo, with its pointers at these offsets; the socket addresses behind them. */
const INFO_BYTES = 48;
const SOCKET_TYPE_AT = 8;
const ADDRESS_AT = 24;
const NEXT_AT = 40;
/** Where sockaddr_in and sockaddr_in6 have the address, and how long they are. */
const SHAPES = new Map([
  [AF_INET, { bytes: 16, at: 4 }],
  [AF_INET6, { bytes: 28, at: 8 }],
]);
const TEXT_BYTES = 64;
const SOCK_STREAM = 1;
/** No host has more. */
const ADDRESSES_MAX = 1000;

/** All addresses of a name, in libc's order; none when there is no such name, or no answer. */
export function lookupHost(name: string): string[] {
  if (name === '' || name.includes('\0')) return [];
  const hints = Buffer.alloc(INFO_BYTES);
  hints.writeInt32LE(SOCK_STREAM, SOCKET_TYPE_AT);
  const result = Buffer.alloc(8);
  if (getaddrinfo(name, null, hints, result) !== 0) return [];
  const list = result.readBigUInt64LE();
  try {
    return readList(list);
  } finally {
    freeaddrinfo(list);
  }
}

function readList(list: bigint): string[] {
  const found: string[] = [];
  const info = Buffer.alloc(INFO_BYTES);
  for (
    let at = list;
    at !== 0n && found.length < ADDRESSES_MAX;
    at = info.readBigUInt64LE(NEXT_AT)
  ) {
    memcpy(info, at, INFO_BYTES);
    const family = info.readInt32LE(4);
    const shape = SHAPES.get(family);
    if (shape === undefined) continue;
    const address = Buffer.alloc(shape.bytes);
    memcpy(address, info.readBigUInt64LE(ADDRESS_AT), shape.bytes);
    found.push(inetNtop(family, address.subarray(shape.at), Buffer.alloc(TEXT_BYTES), TEXT_BYTES));
  }
  return [...new Set(found)];
}
