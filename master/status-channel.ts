import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { socketPair } from '../lib/os/sockets.ts';
import { readStatusMessage, STATUS_MESSAGE_BYTES, type StatusMessage } from './status-message.ts';

/**
 * The socket pair over which all children of one service report. Closing it is how children
 * learn that they shall leave: the idle ones at once, the busy ones after their clients.
 */
export interface StatusChannel {
  /** The end that children inherit as descriptor 5. */
  readonly childFd: number;
  close(): void;
}

/** What the owner of a channel is told. */
export interface StatusListener {
  onMessage(message: StatusMessage): void;
  /** A child wrote something that is not a whole number of messages. */
  onPartial(bytes: number): void;
}

/** Opens the channel of one service. */
export function openStatusChannel(listener: StatusListener): StatusChannel {
  const [ours, childFd] = socketPair();
  const socket = new Socket({ fd: ours, readable: true, writable: false });
  socket.on('data', (bytes: Buffer) => {
    // Each message is one write on a stream socket; several may arrive in one read.
    let at = 0;
    for (; at + STATUS_MESSAGE_BYTES <= bytes.length; at += STATUS_MESSAGE_BYTES) {
      listener.onMessage(readStatusMessage(bytes, at));
    }
    if (at < bytes.length) listener.onPartial(bytes.length - at);
  });
  socket.on('error', () => socket.destroy());
  let open = true;
  return {
    childFd,
    close() {
      if (!open) return;
      open = false;
      closeSync(childFd);
      socket.destroy();
    },
  };
}
