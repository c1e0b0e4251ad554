/** File descriptors: copies, flags, and the one inside a socket of Node's. */
import { readdirSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { checked, isErrno } from './error.ts';
import { declare } from './native.ts';

export { becomeSessionLeader } from './session.ts';

const fcntl = declare('int fcntl(int fd, int command, int argument)');
const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;
const O_NONBLOCK = 0o4000;

/** Descriptors below these are standard input, output and error. */
const FIRST_FREE = 3;

/** A second descriptor for the same open file or socket; children do not inherit it. */
export function dup(fd: number): number {
  return checked(fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE), 'dup', fd);
}

/** Makes reads and writes on `fd` fail rather than wait. It holds for all who share the file. */
export function setNonBlocking(fd: number): void {
  const flags = checked(fcntl(fd, F_GETFL, 0), 'fcntl', fd);
  checked(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 'fcntl', fd);
}

/** Whether programs started from here lose (`on`) or inherit the descriptor. */
export function setCloseOnExec(fd: number, on: boolean): void {
  const flags = checked(fcntl(fd, F_GETFD, 0), 'fcntl', fd);
  const wanted = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
  if (wanted !== flags) checked(fcntl(fd, F_SETFD, wanted), 'fcntl', fd);
}

/** Keeps every descriptor from `from` upwards from programs started here. */
export function closeOnExecAll(from: number): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd < from) continue;
    try {
      setCloseOnExec(fd, true);
    } catch (error) {
      // The directory was open while it was read, and is in its own list.
      if (!isErrno(error, 'EBADF')) throw error;
    }
  }
}

/** Whether `fd` is open. */
export function isOpen(fd: number): boolean {
  return fcntl(fd, F_GETFD, 0) >= 0;
}

/** The descriptor inside a connected socket or a listening server. Node goes on owning it. */
export function descriptorOf(owner: Socket | Server): number {
  const handle = (owner as unknown as { _handle?: { fd?: number } | null })._handle;
  const fd = handle?.fd;
  if (fd === undefined || fd < 0) throw new Error('This socket has no descriptor: it is closed');
  return fd;
}

/** What Node has inside a socket; it has no other way to stop at once. */
interface Handle {
  reading: boolean;
  readStart(): number;
  readStop(): number;
}

/** Leaves in the socket what the peer sends from now on; what has come already may still be told. */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  handle.reading = false;
  handle.readStop();
}

/** Goes on reading. */
export function startReading(socket: Socket): void {
  const handle = handleOf(socket);
  handle.reading = true;
  handle.readStart();
}

function handleOf(socket: Socket): Handle {
  const { _handle: handle } = socket as unknown as { _handle?: Handle | null };
  if (handle) return handle;
  throw new Error('This socket has no handle: it is closed');
}
