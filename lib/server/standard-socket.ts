import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/**
 * stdin and stdout as one connection (`-S`: `sendmail -bs`). They may be files, pipes or a
 * terminal, so it only looks like a socket as far as a server asks: it has no addresses.
 */
export function standardInputAndOutput(): Socket {
  const stream = Duplex.from({ readable: process.stdin, writable: process.stdout });
  const itself = () => stream;
  return Object.assign(stream, {
    setTimeout: itself,
    setNoDelay: itself,
    setKeepAlive: itself,
    ref: itself,
    unref: itself,
    address: () => ({}),
    connecting: false,
    bytesRead: 0,
    bytesWritten: 0,
    destroySoon() {
      stream.end(() => stream.destroy());
    },
  }) as unknown as Socket;
}
