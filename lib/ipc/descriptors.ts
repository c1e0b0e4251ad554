/** Open descriptors that go over a connection together with attribute lists. ipc.md 3.1. */
import { closeSync } from 'node:fs';
import { monotonic, sleep } from '../clock/clock.ts';
import { descriptorOf, startReading, stopReading } from '../os/descriptors.ts';
import { isErrno } from '../os/error.ts';
import { receiveDescriptor, sendDescriptor } from '../os/sockets.ts';
import type { Attribute } from './attributes.ts';
import type { IpcConnection } from './connection.ts';
import { IpcError } from './error.ts';

/** The peer has said all that it wants to say: it sends, or takes, the descriptor at once. */
const LIMIT_MS = 10_000;
const PAUSE_MS = 1;

/** Sends a copy of a descriptor, when the peer has asked for it. @throws {IpcError} */
export function sendDescriptorBehind(connection: IpcConnection, fd: number): Promise<void> {
  return attempt(connection, 'send a descriptor to', () => {
    sendDescriptor(descriptorOf(connection.socket), fd);
    return true;
  }).then(() => {});
}

/**
 * Asks for a descriptor with a list, and receives it. Until it has come nothing else reads: an
 * ordinary read would lose it.
 *
 * @returns the descriptor, which is the caller's to close
 * @throws {IpcError} when the peer sends something else, or nothing
 */
export async function receiveDescriptorAfter(
  connection: IpcConnection,
  request: readonly Attribute[],
): Promise<number> {
  const { socket } = connection;
  stopReading(socket);
  let fd: number | undefined;
  try {
    await connection.send(request);
    fd = await attempt(connection, 'receive a descriptor from', () =>
      receiveDescriptor(descriptorOf(socket)),
    );
    startReading(socket);
    return fd;
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw error;
  }
}

/** Does what a socket may not be ready for yet. */
async function attempt<T>(
  { peer, socket }: IpcConnection,
  what: string,
  action: () => T | undefined,
): Promise<T> {
  const expiresAt = monotonic() + LIMIT_MS;
  for (let pauseMs = 0; ; pauseMs = PAUSE_MS) {
    if (socket.destroyed) throw new IpcError(`cannot ${what} ${peer}: the connection is closed`);
    try {
      const result = action();
      if (result !== undefined) return result;
    } catch (error) {
      if (!isErrno(error, 'EAGAIN')) {
        throw new IpcError(`cannot ${what} ${peer}: ${(error as Error).message}`, { cause: error });
      }
    }
    if (monotonic() > expiresAt) throw new IpcError(`cannot ${what} ${peer}: timeout`);
    await sleep(pauseMs);
  }
}
