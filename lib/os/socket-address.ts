/** The addresses that bind(2) and connect(2) take. */
import { isIPv4, isIPv6 } from 'node:net';
import { declare } from './native.ts';

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** struct sockaddr_un has room for 107 bytes and a zero. */
const UNIX_PATH_MAX = 107;

/** A path as a struct sockaddr_un. */
export function unixAddress(path: string): Buffer {
  const bytes = Buffer.from(path);
  if (bytes.length === 0 || bytes.length > UNIX_PATH_MAX || bytes.includes(0)) {
    throw new RangeError(
      `${JSON.stringify(path)}: a socket's path has 1 to ${UNIX_PATH_MAX} bytes`,
    );
  }
  const address = Buffer.alloc(2 + bytes.length + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  bytes.copy(address, 2);
  return address;
}

const inetPton = declare('int inet_pton(int family, const char *text, void *address)');
const ifNametoindex = declare('uint32_t if_nametoindex(const char *name)');

/** A numeric address and a port as a struct sockaddr_in or sockaddr_in6; `fe80::1%eth0` is known. */
export function inetAddress(address: string, port: number): { family: number; bytes: Buffer } {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`${port} is not a port number`);
  }
  const [numeric = '', zone = ''] = address.split('%');
  if (isIPv4(address)) {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt16LE(AF_INET, 0);
    bytes.writeUInt16BE(port, 2);
    inetPton(AF_INET, address, bytes.subarray(4));
    return { family: AF_INET, bytes };
  }
  if (!isIPv6(address)) throw new RangeError(`${JSON.stringify(address)} is not an IP address`);
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  inetPton(AF_INET6, numeric, bytes.subarray(8));
  bytes.writeUInt32LE(zone === '' ? 0 : ifNametoindex(zone), 24);
  return { family: AF_INET6, bytes };
}
