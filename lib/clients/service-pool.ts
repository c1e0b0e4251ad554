import { connectPatiently, type Patience } from '../ipc/connect-patiently.ts';
import type { IpcConnection } from '../ipc/connection.ts';
import { ConnectionPool } from '../ipc/connection-pool.ts';
import { expectProtocol } from '../ipc/greeting.ts';
import { type ClientOptions, LIMITS, TIMEOUT_MS } from './options.ts';

/** Connections to one service, whose announcement has been checked. */
export function openServicePool(
  path: string,
  protocol: string,
  patience: Patience,
  options: ClientOptions,
): ConnectionPool {
  const open = async (): Promise<IpcConnection> => {
    const connection = await connectPatiently(path, options.timeoutMs ?? TIMEOUT_MS, {
      patience,
      ...options,
    });
    try {
      await expectProtocol(connection, protocol);
      return connection;
    } catch (error) {
      connection.abort();
      throw error;
    }
  };
  return new ConnectionPool(open, options.limits ?? LIMITS);
}
