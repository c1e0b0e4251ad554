import { Socket } from 'node:net';
import { monotonic } from '../clock/clock.ts';
import { IpcConnection } from '../ipc/connection.ts';
import { IpcError } from '../ipc/error.ts';
import { str } from '../ipc/fields.ts';
import { descriptorOf } from '../os/descriptors.ts';
import { Poller } from '../os/poll.ts';
import { receiveDescriptor } from '../os/sockets.ts';

/** A client whose connection another process accepted, and what that one knows. ipc.md 3.18. */
export interface PassedConnection {
  readonly socket: Socket;
  readonly clientAddress: string;
  readonly clientPort: string;
  readonly serverAddress: string;
  readonly serverPort: string;
}

const TIME_LIMIT_MS = 100_000;

const ATTRIBUTES = {
  clientAddress: str.named('client_address'),
  clientPort: str.named('client_port'),
  serverAddress: str.named('server_address'),
  serverPort: str.named('server_port'),
};

/**
 * Receives a connection over a socket that nobody has read from yet: an ordinary read would
 * swallow the descriptor.
 *
 * @returns `undefined` when the sender went away instead
 * @throws {IpcError} when what it sends is not that
 */
export async function receivePassedConnection(
  local: Socket,
): Promise<PassedConnection | undefined> {
  const fd = await awaitDescriptor(descriptorOf(local));
  if (fd === undefined) return undefined;
  const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  socket.on('error', () => {});
  try {
    const connection = new IpcConnection(local, TIME_LIMIT_MS, { peer: 'pass socket' });
    local.resume();
    const attributes = await connection.receive(ATTRIBUTES);
    if (attributes !== undefined) return { socket, ...attributes };
    throw new IpcError(
      'unexpected end-of-input from pass socket while reading input attribute name',
    );
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** @returns `undefined` when the peer closed or sent something else */
async function awaitDescriptor(local: number): Promise<number | undefined> {
  const poller = new Poller();
  const expiresAt = monotonic() + TIME_LIMIT_MS;
  for (;;) {
    try {
      const fd = receiveDescriptor(local);
      if (fd !== undefined) return fd;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EBADMSG') return undefined;
      throw new IpcError('cannot receive a connection from pass socket', { cause: error });
    }
    const remaining = expiresAt - monotonic();
    if (remaining <= 0) throw new IpcError('timeout on pass socket while receiving a connection');
    await poller.poll([local], remaining);
  }
}
