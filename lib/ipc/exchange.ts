import type { ConnectionPool, Lease } from './connection-pool.ts';
import { IpcError } from './error.ts';
import type { Shape, Values } from './fields.ts';
import type { ReadOptions } from './list-reader.ts';

export interface ExchangeOptions extends ReadOptions {
  /**
   * Whether the server stays for another request by its nature (rewrite, verify, proxymap). From
   * the others a connection is kept only if they say so: keep.ts.
   */
  readonly persistent?: boolean;
}

/**
 * Sends one request and receives its reply, on a connection of the pool. A kept connection that
 * the server has closed meanwhile is replaced, and the request sent again.
 *
 * @throws {IpcError} when there is no reply, or not the wanted one
 */
export async function exchange<S extends Shape>(
  pool: ConnectionPool,
  request: Buffer,
  shape: S,
  options: ExchangeOptions = {},
): Promise<Values<S>> {
  for (;;) {
    const lease = await pool.acquire();
    const reply = await ask(lease, request, shape, options);
    if (reply === undefined) continue;
    const { connection } = lease;
    if (options.persistent === true || connection.takeKeep()) pool.release(connection);
    else connection.close();
    return reply;
  }
}

/** @returns `undefined` when a connection that was used before had been closed: try another */
async function ask<S extends Shape>(
  { connection, reused }: Lease,
  request: Buffer,
  shape: S,
  options: ExchangeOptions,
): Promise<Values<S> | undefined> {
  try {
    await connection.send(request);
    const reply = (await connection.receive(shape, options)) as Values<S> | undefined;
    if (reply !== undefined) return reply;
  } catch (error) {
    connection.abort();
    throw error;
  }
  connection.abort();
  if (reused) return undefined;
  throw new IpcError(
    `unexpected end-of-input from ${connection.peer} while reading input attribute name`,
  );
}
