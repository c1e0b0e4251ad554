/** Asks a policy server, over connections that stay open. SMTPD_POLICY_README. */
import { isIP } from 'node:net';
import { sleep } from '../../lib/clock/clock.ts';
import type { Resolver } from '../../lib/dns/resolver.ts';
import { type Attribute, formatAttributes } from '../../lib/ipc/attributes.ts';
import { IpcConnection } from '../../lib/ipc/connection.ts';
import { ConnectionPool } from '../../lib/ipc/connection-pool.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import { str } from '../../lib/ipc/fields.ts';
import type { Log } from '../../lib/log/log.ts';
import { connectTo, type HostAddress } from '../../lib/net/connect.ts';
import { describeTrouble } from '../../lib/net/trouble.ts';
import type { PolicyServer } from './policy-server.ts';

const REPLY = { action: str };

export class PolicyClient {
  readonly server: PolicyServer;
  readonly #resolver: Resolver;
  readonly #log: Log;
  readonly #pool: ConnectionPool;
  /** How many requests each connection has had. */
  readonly #uses = new WeakMap<IpcConnection, number>();

  constructor(server: PolicyServer, resolver: Resolver, log: Log) {
    this.server = server;
    this.#resolver = resolver;
    this.#log = log;
    this.#pool = new ConnectionPool(() => this.#connect(), {
      idleMs: server.idleSeconds * 1000,
      ttlMs: server.lifeSeconds * 1000,
    });
  }

  /** @returns the action, or `undefined` when the server has none to give; the log says why */
  async ask(request: readonly Attribute[]): Promise<string | undefined> {
    const bytes = formatAttributes(request, { form: 'plain' });
    const { tryLimit, retryDelaySeconds, address } = this.server;
    for (let count = 1; ; count += 1) {
      try {
        return await this.#exchange(bytes);
      } catch (error) {
        if (!(error instanceof PolicyTrouble)) throw error;
        for (const line of error.lines) this.#log.warn(line);
        // One that closes a connection is restarting; it will be back.
        if (count >= tryLimit || !error.isUsual) {
          this.#log.warn(`problem talking to server ${address}: ${error.message}`);
        }
      }
      if (count >= tryLimit) return undefined;
      await sleep(retryDelaySeconds * 1000);
    }
  }

  close(): void {
    this.#pool.close();
  }

  async #exchange(request: Buffer): Promise<string> {
    for (;;) {
      const { connection, reused } = this.#pool.takeIdle() ?? (await this.#pool.acquire());
      let reply: { action?: string } | undefined;
      try {
        // Only a server that takes nothing is waited for.
        await connection.post(request);
        reply = await connection.receive(REPLY, { extra: true, missing: true });
      } catch (error) {
        connection.abort();
        throw this.#troubleOf(error);
      }
      if (reply?.action !== undefined) {
        this.#release(connection);
        return reply.action;
      }
      connection.abort();
      if (reply !== undefined) {
        const missing = `missing attribute action in input from ${this.server.address}`;
        throw new PolicyTrouble('Application error', [missing]);
      }
      // It had closed the connection before it saw the request.
      if (!reused) throw new PolicyTrouble('Application error');
    }
  }

  #release(connection: IpcConnection): void {
    const { requestLimit } = this.server;
    const uses = (this.#uses.get(connection) ?? 0) + 1;
    this.#uses.set(connection, uses);
    if (requestLimit > 0 && uses >= requestLimit) connection.close();
    else this.#pool.release(connection);
  }

  /** What comes of an exchange that failed half-way. */
  #troubleOf(error: unknown): unknown {
    if (!(error instanceof IpcError)) return error;
    if (error.message.startsWith('timeout on ')) {
      return new PolicyTrouble('Connection timed out', [], false);
    }
    if (error.message.startsWith('unexpected end-of-input')) {
      return new PolicyTrouble('Application error');
    }
    return new PolicyTrouble('Application error', [error.message]);
  }

  async #connect(): Promise<IpcConnection> {
    const { endpoint, address, timeoutSeconds } = this.server;
    const host = 'path' in endpoint ? endpoint : await this.#resolve(endpoint);
    try {
      const socket = await connectTo(host, { connectMs: timeoutSeconds * 1000 });
      return new IpcConnection(socket, timeoutSeconds * 1000, { form: 'plain', peer: address });
    } catch (error) {
      const why = describeTrouble(error);
      const isUsual = (error as NodeJS.ErrnoException).code === 'ENOENT';
      throw new PolicyTrouble(why, [`connect to ${address}: ${why}`], isUsual);
    }
  }

  async #resolve({ host, port }: { host: string; port: number }): Promise<HostAddress> {
    if (isIP(host) !== 0) return { address: host, port };
    const found = await this.#resolver.lookupNative(host);
    const [first] = found.records;
    if (first !== undefined) return { address: first.address, port };
    const { address } = this.server;
    const why = 'Cannot assign requested address';
    throw new PolicyTrouble(
      why,
      [
        `host or service ${address} not found: ${found.reason || found.status}`,
        `connect to ${address}: ${why}`,
      ],
      false,
    );
  }
}

/** The server could not be asked: what the log says of it. */
class PolicyTrouble extends Error {
  readonly lines: readonly string[];
  /** Said only when it goes on. */
  readonly isUsual: boolean;

  constructor(message: string, lines: readonly string[] = [], isUsual = true) {
    super(message);
    this.lines = lines;
    this.isUsual = isUsual;
  }
}
