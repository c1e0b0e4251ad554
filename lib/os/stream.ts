/** TCP connections without Node's own sockets, in as few steps as there are. */
import { checked, OsError } from './error.ts';
import { declare, lastError, nameOf } from './native.ts';
import { AF_INET } from './socket-address.ts';

const accept4 = declare('int accept4(int fd, void *address, void *length, int flags)');
const getsockname = declare('int getsockname(int fd, void *address, void *length)');
const send = declare('long send(int fd, void *bytes, size_t count, int flags)');
const recv = declare('long recv(int fd, void *bytes, size_t count, int flags)');
const setsockopt = declare(
  'int setsockopt(int fd, int level, int option, void *value, uint32_t length)',
);
const shutdown = declare('int shutdown(int fd, int how)');
const inetNtop = declare<string | null>(
  'const char *inet_ntop(int family, void *address, void *text, uint32_t size)',
);
const ifIndextoname = declare<string | null>(
  'const char *if_indextoname(uint32_t index, void *name)',
);

const OURS = 0o4000 | 0o2000000;
const MSG_PEEK = 0x02;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
/** struct sockaddr_in6 is the longest. */
const ADDRESS_BYTES = 28;
const ADDRESS = Buffer.alloc(ADDRESS_BYTES);
const LENGTH = Buffer.alloc(4);
const TEXT = Buffer.alloc(64);
const INTERFACE = Buffer.alloc(16);

/** One end of a TCP connection; the address as Node writes it. */
export interface InetEndpoint {
  readonly address: string;
  readonly port: number;
}

/** A client of a listening TCP socket. */
export interface Accepted {
  readonly fd: number;
  readonly remote: InetEndpoint;
}

/**
 * What is written to clients of a listening TCP socket leaves at once from now on: those that it accepts
 * have this from it (tcp(7), TCP_NODELAY). Other sockets do so anyway.
 */
export function sendAtOnceFrom(listener: number): void {
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, Buffer.from([1, 0, 0, 0]), 4);
}

/**
 * Takes one client; none when none waits.
 *
 * @throws {OsError} when the system has no room for it
 */
export function acceptClient(listener: number): Accepted | undefined {
  LENGTH.writeUInt32LE(ADDRESS_BYTES);
  const fd = accept4(listener, ADDRESS, LENGTH, OURS);
  if (fd >= 0) return { fd, remote: readAddress() };
  const errno = lastError();
  if (GONE.has(nameOf(errno))) return undefined;
  throw new OsError('accept', listener, errno);
}

/** The client went away, or another process was faster. */
const GONE: ReadonlySet<string> = new Set(['EAGAIN', 'EINTR', 'ECONNABORTED', 'EPROTO']);

/** Our end of a connection, or what a socket listens on. */
export function endpointOf(fd: number): InetEndpoint {
  LENGTH.writeUInt32LE(ADDRESS_BYTES);
  checked(getsockname(fd, ADDRESS, LENGTH), 'getsockname', fd);
  return readAddress();
}

function readAddress(): InetEndpoint {
  const port = ADDRESS.readUInt16BE(2);
  if (ADDRESS.readUInt16LE(0) === AF_INET) {
    return { address: `${ADDRESS[4]}.${ADDRESS[5]}.${ADDRESS[6]}.${ADDRESS[7]}`, port };
  }
  inetNtop(ADDRESS.readUInt16LE(0), ADDRESS.subarray(8), TEXT, TEXT.length);
  const address = TEXT.toString('latin1', 0, TEXT.indexOf(0));
  const zone = ADDRESS.readUInt32LE(24);
  if (zone === 0 || ifIndextoname(zone, INTERFACE) === null) return { address, port };
  return { address: `${address}%${INTERFACE.toString('latin1', 0, INTERFACE.indexOf(0))}`, port };
}

/**
 * Reads what has come.
 *
 * @returns how many bytes; 0 at the end of the input; -1 when the peer is gone; `undefined` when
 * nothing has come
 */
export function receiveInto(fd: number, bytes: Buffer): number | undefined {
  const count = Number(recv(fd, bytes, bytes.length, MSG_DONTWAIT));
  return count >= 0 ? count : isNotNow() ? undefined : -1;
}

/** The same, but what is read stays to be read again. */
export function peekInto(fd: number, bytes: Buffer): number | undefined {
  const count = Number(recv(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_PEEK));
  return count >= 0 ? count : isNotNow() ? undefined : -1;
}

/**
 * What has come, at most `max` bytes of it; it stays to be read.
 *
 * @returns `undefined` when nothing has; no bytes when the peer has closed, or is gone
 */
export function peek(fd: number, max: number): Buffer | undefined {
  const bytes = Buffer.allocUnsafe(max);
  const count = peekInto(fd, bytes);
  return count === undefined ? undefined : bytes.subarray(0, Math.max(0, count));
}

/** Reads so many bytes of what `peek` has shown, and drops them. @returns whether they were there */
export function skip(fd: number, count: number): boolean {
  return receiveInto(fd, Buffer.allocUnsafe(count)) === count;
}

/** Sends the first `length` bytes, or as many as go out. @returns how many; -1: the peer is gone */
export function sendFrom(fd: number, bytes: Buffer, length: number): number {
  const count = Number(send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL));
  return count >= 0 ? count : isNotNow() ? 0 : -1;
}

/** Says to the peer that nothing more will come. It may be gone. */
export function shutdownWrite(fd: number): void {
  shutdown(fd, SHUT_WR);
}

/** Whether the call that has just failed had nothing to do yet. */
export function isNotNow(): boolean {
  const name = nameOf(lastError());
  return name === 'EAGAIN' || name === 'EINTR';
}
