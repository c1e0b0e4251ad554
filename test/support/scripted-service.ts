/** A service as a test wants it, on a socket below the queue directory of a scripted master. */

import { chmodSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { IpcConnection } from '../../lib/ipc/connection.ts';
import { atEnd } from './cleanup.ts';
import { PATIENCE_MS } from './condition.ts';

export interface ScriptedService {
  /** How many connections there were. */
  readonly connections: () => number;
  /** Nobody listens any more, and every connection is closed. */
  stop(): void;
}

/** Serves each connection with `serve`; a failure of it fails nothing but the connection. */
export async function scriptedService(
  t: TestContext,
  path: string,
  serve: (connection: IpcConnection) => Promise<void>,
): Promise<ScriptedService> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    count += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const connection = new IpcConnection(socket, PATIENCE_MS);
    serve(connection)
      .catch(() => {})
      .finally(() => connection.close());
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  chmodSync(path, 0o777);
  const stop = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  atEnd(t, stop);
  return { connections: () => count, stop };
}
