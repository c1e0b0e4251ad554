/** Where a table's server listens: `inet:host:port`, `unix:/path`. */
import type { Socket } from 'node:net';
import { isIP } from 'node:net';
import { parsePort, splitInetName } from '../config/inet-name.ts';
import { openResolver } from '../dns/resolver.ts';
import { connectTo, type HostAddress } from '../net/connect.ts';
import { describeTrouble } from '../net/trouble.ts';
import { TableError, TableOpenError } from './definition.ts';

export interface Endpoint {
  /** As it was written: `127.0.0.1:9`, `/run/map`. */
  readonly name: string;
  /** @throws {TableError} whose message is the reason: `Connection refused` */
  connect(connectMs: number): Promise<Socket>;
}

/** `/path/name`. */
export function unixEndpoint(path: string): Endpoint {
  return { name: path, connect: (connectMs) => connectToAny([{ path }], connectMs) };
}

/**
 * `host:port`, with a name or an address, `[::1]` too. A name is looked up for each connection, so
 * that a server can move.
 *
 * @param who the table, for the message
 * @throws {TableOpenError}
 */
export function inetEndpoint(text: string, who: string): Endpoint {
  const { host, port: portName } = splitInetName(text);
  if (host === '') throw new TableOpenError(`${who}: need host:port instead of "${text}"`);
  const port = portOf(portName, who);
  if (isIP(host) !== 0) {
    return {
      name: text,
      connect: (connectMs) => connectToAny([{ address: host, port }], connectMs),
    };
  }
  // Now, because it reads files that are not there after a change of root directory.
  const resolver = openResolver();
  return {
    name: text,
    async connect(connectMs) {
      const { records, reason } = await resolver.lookupNative(host);
      if (records.length === 0) throw new TableError(reason || `host ${host} not found`);
      return connectToAny(
        records.map(({ address }) => ({ address, port })),
        connectMs,
      );
    },
  };
}

function portOf(name: string, who: string): number {
  try {
    return parsePort(name);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TableOpenError(`${who}: ${reason}`, { cause: error });
  }
}

async function connectToAny(hosts: readonly HostAddress[], connectMs: number): Promise<Socket> {
  let trouble: unknown;
  for (const host of hosts) {
    try {
      return await connectTo(host, { connectMs });
    } catch (error) {
      trouble = error;
    }
  }
  throw new TableError(describeTrouble(trouble), { cause: trouble });
}
