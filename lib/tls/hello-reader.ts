/** Waits for a client's ClientHello, and leaves it for OpenSSL to read again. */
import type { Socket } from 'node:net';
import { type ClientHello, parseClientHello } from './client-hello.ts';

/**
 * Reads from a socket that nobody else reads from.
 *
 * @returns what the client wants; `undefined` when it has left, or does not speak TLS: OpenSSL will say
 */
export function readClientHello(socket: Socket): Promise<ClientHello | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const finish = (hello: ClientHello | undefined) => {
      for (const event of ENDINGS) socket.off(event, onEnd);
      socket.off('readable', onReadable);
      if (chunks.length > 0 && !socket.destroyed) socket.unshift(Buffer.concat(chunks));
      resolve(hello);
    };
    const onEnd = () => finish(undefined);
    const onReadable = () => {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) chunks.push(chunk);
      const hello = parseClientHello(Buffer.concat(chunks));
      if (hello !== 'more') finish(hello);
      else if (socket.readableEnded) finish(undefined);
    };
    for (const event of ENDINGS) socket.on(event, onEnd);
    socket.on('readable', onReadable);
    if (socket.destroyed) finish(undefined);
  });
}

const ENDINGS = ['end', 'close'] as const;
