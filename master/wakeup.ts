import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after } from '../lib/clock/clock.ts';
import type { MasterEntry } from '../lib/config/master-cf.ts';
import { descriptorOf } from '../lib/os/descriptors.ts';
import { pipe, sendDescriptor } from '../lib/os/sockets.ts';
import type { Listener } from './listeners.ts';

/** A daemon that does not take our wake-up within this time will not take it at all. */
const CONNECT_MS = 1000;
/** The connection is held until the daemon has read the bytes; at most this long. */
const HOLD_MS = 101_000;
/** "Wake up": one byte, and the NUL that ends every trigger request. */
const REQUEST = ['W', '\0'];

/** Told when a wake-up did not come through. */
export type WakeupFailure = (reason: string) => void;

/** Pokes a service through its own socket, as any client would. ipc.md 1.9. */
export function wakeUp(entry: MasterEntry, listener: Listener, failed: WakeupFailure): void {
  if (entry.type === 'fifo') wakeFifo(listener, failed);
  else if (entry.type === 'pass') wakePass(listener, failed);
  else if (entry.type !== 'unix-dgram') wakeSocket(listener, failed);
}

function wakeSocket(listener: Listener, failed: WakeupFailure): void {
  const socket = connectTo(listener, failed);
  socket.on('connect', () => {
    for (const bytes of REQUEST) socket.write(bytes);
  });
}

function wakeFifo(listener: Listener, failed: WakeupFailure): void {
  if (listener.address.kind !== 'path') return;
  try {
    const fd = openSync(listener.address.path, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(fd, 'W');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    failed((error as Error).message);
  }
}

/** A `pass` service reads its requests from a descriptor that it is handed. */
function wakePass(listener: Listener, failed: WakeupFailure): void {
  const socket = connectTo(listener, failed);
  socket.on('connect', () => {
    const ends = pipe();
    try {
      sendDescriptor(descriptorOf(socket), ends.read);
      writeSync(ends.write, REQUEST.join(''));
    } catch (error) {
      failed((error as Error).message);
    } finally {
      closeSync(ends.read);
      closeSync(ends.write);
    }
  });
}

function connectTo(listener: Listener, failed: WakeupFailure): Socket {
  const { address } = listener;
  const socket =
    address.kind === 'path' ? connect(address.path) : connect(address.port, address.host);
  let limit = after(CONNECT_MS, () => finish('connect timeout'));
  const finish = (reason?: string) => {
    limit.stop();
    socket.destroy();
    if (reason !== undefined) failed(reason);
  };
  socket.on('connect', () => {
    limit.stop();
    limit = after(HOLD_MS, () => finish('read timeout'));
  });
  // Whether it sends or closes: it has read what we had to say.
  socket.on('data', () => finish());
  socket.on('close', () => finish());
  socket.on('error', (error) => finish(error.message));
  socket.unref();
  return socket;
}
