/**
 * Listening sockets and FIFOs that master makes and never accepts from, and what else Node's own
 * sockets can't do. Every descriptor made here is non-blocking and is not inherited, except through
 * the `stdio` of a child process.
 */
import { chmodSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import { setNonBlocking } from './descriptors.ts';
import { checked, OsError } from './error.ts';
import { declare } from './native.ts';
import { AF_INET6, AF_UNIX, inetAddress, unixAddress } from './socket-address.ts';
import { isNotNow } from './stream.ts';

export { receiveDescriptor, sendDescriptor } from './pass.ts';

const socketCall = declare('int socket(int family, int type, int protocol)');
const bindCall = declare('int bind(int fd, void *address, uint32_t length)');
const listenCall = declare('int listen(int fd, int backlog)');
const setsockopt = declare(
  'int setsockopt(int fd, int level, int option, void *value, uint32_t length)',
);
const getsockopt = declare(
  'int getsockopt(int fd, int level, int option, void *value, void *length)',
);
const socketpair = declare('int socketpair(int family, int type, int protocol, void *pair)');
const sendto = declare(
  'long sendto(int fd, void *bytes, size_t count, int flags, void *address, uint32_t length)',
);
const recv = declare('long recv(int fd, void *bytes, size_t count, int flags)');
const pipe2 = declare('int pipe2(void *pair, int flags)');
const mkfifo = declare('int mkfifo(const char *path, uint32_t mode)');

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const OURS = SOCK_NONBLOCK | SOCK_CLOEXEC;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
const SO_PEERCRED = 17;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** Listens on a UNIX-domain socket; what was at `path` is removed. */
export function bindUnix(path: string, mode: number, backlog: number): number {
  return made(socketOf(AF_UNIX, SOCK_STREAM), (fd) => {
    bindPath(fd, path, mode);
    checked(listenCall(fd, backlog), 'listen', path);
  });
}

/** Receives datagrams at `path`; what was there is removed. */
export function bindUnixDatagram(path: string, mode: number): number {
  return made(socketOf(AF_UNIX, SOCK_DGRAM), (fd) => bindPath(fd, path, mode));
}

/** The access mode is set before anybody can connect: nobody listens yet. */
function bindPath(fd: number, path: string, mode: number): void {
  const address = unixAddress(path);
  rmSync(path, { force: true });
  checked(bindCall(fd, address, address.length), 'bind', path);
  chmodSync(path, mode);
}

/**
 * Listens on a numeric address and port: IPv4, or IPv6 and nothing but IPv6. Others of the same user
 * may do so too, who ask as we do: `25` and `127.0.0.1:25` are two services.
 */
export function bindInet(address: string, port: number, backlog: number): number {
  const { family, bytes } = inetAddress(address, port);
  return made(socketOf(family, SOCK_STREAM), (fd) => {
    setFlag(fd, SOL_SOCKET, SO_REUSEADDR);
    setFlag(fd, SOL_SOCKET, SO_REUSEPORT);
    if (family === AF_INET6) setFlag(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    const where = `${address} port ${port}`;
    checked(bindCall(fd, bytes, bytes.length), 'bind', where);
    checked(listenCall(fd, backlog), 'listen', where);
  });
}

/**
 * Makes a FIFO and opens it for reading; what was at `path` is removed. It is held open for writing
 * too, so that the last writer's leaving is not an end of file.
 */
export function makeFifo(path: string, mode: number): number {
  rmSync(path, { force: true });
  checked(mkfifo(path, mode), 'mkfifo', path);
  chmodSync(path, mode);
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
}

/** Two connected stream sockets. */
export function socketPair(): [number, number] {
  const pair = Buffer.alloc(8);
  checked(socketpair(AF_UNIX, SOCK_STREAM | OURS, 0, pair), 'socketpair', 'AF_UNIX');
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}

/**
 * A pipe. A child that inherits an end as its standard input or output expects to wait there: name
 * the end that stays here.
 */
export function pipe(ours: 'both' | 'read' | 'write' = 'both'): { read: number; write: number } {
  const pair = Buffer.alloc(8);
  checked(pipe2(pair, ours === 'both' ? OURS : SOCK_CLOEXEC), 'pipe2', 'a pipe');
  const ends = { read: pair.readInt32LE(0), write: pair.readInt32LE(4) };
  if (ours !== 'both') setNonBlocking(ends[ours]);
  return ends;
}

/** Takes one datagram of at most `max` bytes (the rest of a longer one is lost), if one waits. */
export function receiveDatagram(fd: number, max: number): Buffer | undefined {
  const bytes = Buffer.allocUnsafe(max);
  const length = Number(recv(fd, bytes, max, MSG_DONTWAIT));
  if (length >= 0) return bytes.subarray(0, length);
  if (isNotNow()) return undefined;
  throw new OsError('recv', fd);
}

/** Sends a datagram to the socket at `path`. @returns false when nobody took it */
export function sendDatagram(path: string, bytes: Buffer): boolean {
  const address = unixAddress(path);
  const fd = datagramSocket();
  try {
    return sendto(fd, bytes, bytes.length, SEND_FLAGS, address, address.length) === bytes.length;
  } finally {
    closeSync(fd);
  }
}

/** A datagram socket that is not bound to anything, to send from. */
export function datagramSocket(): number {
  return socketOf(AF_UNIX, SOCK_DGRAM);
}

/** Sends a datagram on a connected socket. @returns false when nobody took it */
export function sendConnected(fd: number, bytes: Buffer): boolean {
  return sendto(fd, bytes, bytes.length, SEND_FLAGS, null, 0) === bytes.length;
}

const SEND_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;
const connectCall = declare('int connect(int fd, void *address, uint32_t length)');

/** Connects a datagram socket to a path. @returns false when nobody is there */
export function connectDatagram(fd: number, path: string): boolean {
  const address = unixAddress(path);
  return connectCall(fd, address, address.length) >= 0;
}

/** Who is at the other end of a UNIX-domain socket, says the kernel. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Who connected (or, to a client, who listens), at the time of the connection. */
export function peerCredentials(fd: number): PeerCredentials {
  const value = Buffer.alloc(12);
  const length = Buffer.from([12, 0, 0, 0]);
  checked(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length), 'getsockopt', fd);
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
}

function socketOf(family: number, type: number): number {
  return checked(socketCall(family, type | OURS, 0), 'socket', `of family ${family}`);
}

function setFlag(fd: number, level: number, option: number): void {
  checked(setsockopt(fd, level, option, Buffer.from([1, 0, 0, 0]), 4), 'setsockopt', fd);
}

/** Whoever fails to set a socket up closes it. */
function made(fd: number, setUp: (fd: number) => void): number {
  try {
    setUp(fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
