/** One client of a server, from the server's request until either of them has gone. */
import { Socket } from 'node:net';
import { TLSPROXY_FLAGS } from '../../lib/clients/tlsproxy.ts';
import { IpcConnection } from '../../lib/ipc/connection.ts';
import { receiveDescriptorAfter } from '../../lib/ipc/descriptors.ts';
import { int, str, type Values } from '../../lib/ipc/fields.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import type { Log } from '../../lib/log/log.ts';
import { type Accepted, acceptTls } from '../../lib/tls/accept.ts';
import { libraryErrors } from '../../lib/tls/library-error.ts';
import { type ServerTls, type TlsChoice, TlsRefusal } from '../../lib/tls/server-tls.ts';
import { describeSession } from '../../lib/tls/session-facts.ts';
import { logSession } from '../../lib/tls/session-log.ts';
import { relay } from './relay.ts';

export interface Surroundings {
  readonly log: Log;
  /** `undefined`: it is switched off. */
  readonly tls: ServerTls | undefined;
  /** For each wait for the server. */
  readonly ipcMs: number;
}

const REQUEST = {
  /** `[192.0.2.1]:12345` */
  endpoint: str.named('remote_endpoint'),
  flags: int,
  handshakeSeconds: int.named('timeout'),
  sessionSeconds: int.named('timeout'),
  serverId: str.named('serverid'),
};
type Request = Values<typeof REQUEST>;

const STATUS = { refused: 0, ready: 1 } as const;
const DEBUG_LEVEL = 2;
/** The server has the same limits, and something to say when they are over: it comes first. */
const GRACE_MS = 5000;

export class Session {
  readonly #server: IpcConnection;
  readonly #log: Log;
  readonly #tls: ServerTls | undefined;

  constructor(server: Socket, { log, tls, ipcMs }: Surroundings) {
    this.#server = new IpcConnection(server, ipcMs, { peer: 'tlsproxy socket' });
    this.#log = log;
    this.#tls = tls;
    server.resume();
  }

  /** Resolves when there is nothing left to do for the client. */
  async run(): Promise<void> {
    const server = this.#server;
    await server.send([['protocol', PROTOCOLS.tlsproxy]]);
    const request = await server.receive(REQUEST);
    if (request === undefined) return;
    const isServed = this.#isServed(request.flags);
    const { endpoint } = request;
    this.#log.info(`CONNECT ${request.flags & TLSPROXY_FLAGS.client ? 'to' : 'from'} ${endpoint}`);
    try {
      if (!isServed || this.#tls?.isUsable !== true) {
        await server.send([['status', STATUS.refused]]);
        await server.awaitEnd();
        this.#logFailure(request);
        return;
      }
      const fd = await receiveDescriptorAfter(server, [['status', STATUS.ready]]);
      const client = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
      try {
        await this.#serve(client, this.#tls, request);
      } finally {
        client.destroy();
      }
    } finally {
      this.#log.info(`DISCONNECT ${endpoint}`);
    }
  }

  #isServed(flags: number): boolean {
    if (flags === TLSPROXY_FLAGS.server) return true;
    const what = flags & TLSPROXY_FLAGS.client ? 'the role of a TLS client' : `flags ${flags}`;
    this.#log.warn(`request for ${what}: not built in Posthaste`);
    return false;
  }

  async #serve(client: Socket, tls: ServerTls, request: Request): Promise<void> {
    client.on('error', () => {});
    client.setNoDelay(true);
    const early = this.#server.detach();
    const { socket: server } = this.#server;
    if (early.length > 0) server.unshift(early);
    // A server that goes away takes its client along.
    const onEnd = () => client.destroy();
    server.once('end', onEnd).once('close', onEnd);
    if (server.readableEnded || server.destroyed) onEnd();
    const accepted = await this.#accept(client, tls, request);
    server.off('end', onEnd).off('close', onEnd);
    if (accepted === undefined) return;
    const { endpoint, sessionSeconds } = request;
    const isSilent = await relay(server, accepted.socket, sessionSeconds * 1000 + GRACE_MS);
    if (isSilent) this.#logTimeout(endpoint);
  }

  async #accept(client: Socket, tls: ServerTls, request: Request): Promise<Accepted | undefined> {
    const { endpoint } = request;
    const log = this.#log;
    if (tls.logLevel >= DEBUG_LEVEL) log.info(`setting up TLS connection from ${endpoint}`);
    let chosen: TlsChoice | undefined;
    const accepted = await acceptTls(client, {
      limitMs: request.handshakeSeconds * 1000 + GRACE_MS,
      asksForCertificate: tls.demands.asksForCertificate,
      async choose(hello) {
        chosen = await tls.choose(hello, endpoint);
        return chosen.context;
      },
      onFailure: (why) => {
        if (why === 'Connection timed out') this.#logTimeout(endpoint);
        else if (why instanceof TlsRefusal) log.warn(why.message);
        for (const text of libraryErrors(why)) log.warn(`TLS library problem: ${text}`);
        this.#logFailure(request);
      },
    });
    if (accepted === undefined) return undefined;
    const { keys = [], serverName } = chosen ?? {};
    const { socket, hello } = accepted;
    const found = describeSession(socket, tls.wishes, { hello, keys });
    logSession(log, { label: endpoint, tls, found, serverName });
    return accepted;
  }

  #logTimeout(endpoint: string): void {
    this.#log.warn(`ciphertext read/write timeout for ${endpoint}`);
  }

  #logFailure({ serverId, endpoint }: Request): void {
    this.#log.info(`TLS handshake failed for service=${serverId} peer=${endpoint}`);
  }
}
