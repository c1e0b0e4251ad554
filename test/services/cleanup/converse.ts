/** A client of a service on a UNIX-domain socket that says exactly what a test wants. */
import { connect } from 'node:net';
import { PATIENCE_MS } from '../../support/condition.ts';

export interface ConverseOptions {
  /** `half`: we send once, and then only listen. */
  readonly afterwards?: 'open' | 'half';
  /** The dialog begins before the server has said anything. */
  readonly speaksFirst?: boolean;
}

/**
 * Connects, and talks as `dialog` says: it gets what has come so far, and returns what to send.
 */
export function converse(
  path: string,
  dialog: (received: Buffer) => Buffer | 'more' | 'end',
  { afterwards = 'open', speaksFirst = false }: ConverseOptions = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let received: Buffer = Buffer.alloc(0);
    const step = () => {
      const next = dialog(received);
      if (next === 'end') socket.destroy();
      else if (next !== 'more' && afterwards === 'open') socket.write(next);
      else if (next !== 'more') socket.end(next);
    };
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`timeout on ${path}`)));
    if (speaksFirst) socket.once('connect', step);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      step();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // A server that has refused the message may close before we have said everything.
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') reject(error);
    });
    socket.on('close', () => resolve(received));
  });
}
