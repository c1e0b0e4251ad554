/** From a connection in plain text to one that nobody else can read: the server's side. */
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { after } from '../clock/clock.ts';
import { OsError } from '../os/error.ts';
import type { ClientHello } from './client-hello.ts';
import { readClientHello } from './hello-reader.ts';

/** How a client is met. */
export interface Acceptance {
  readonly limitMs: number;
  readonly asksForCertificate: boolean;
  /** What the client is served with; when it throws, there is no handshake. */
  choose(hello: ClientHello | undefined): Promise<SecureContext>;
  /** Told once why there is none: `lost connection`, `Connection timed out`, or an error. */
  onFailure(why: unknown): void;
}

/** A connection that nobody else can read. */
export interface Accepted {
  /** Ends with an error as it does without one: by closing. */
  readonly socket: TLSSocket;
  readonly hello: ClientHello | undefined;
}

/**
 * Shakes hands with a client, on a socket that nobody has read from.
 *
 * @returns `undefined` when it failed: the socket is closed then
 */
export async function acceptTls(
  socket: Socket,
  acceptance: Acceptance,
): Promise<Accepted | undefined> {
  let hasFailed = false;
  const fail = (why: unknown) => {
    if (!hasFailed) acceptance.onFailure(why);
    hasFailed = true;
    socket.destroy();
  };
  const onClose = () => fail(LOST);
  const isOver = () => {
    if (socket.destroyed) onClose();
    return hasFailed;
  };
  socket.once('close', onClose);
  const limit = after(acceptance.limitMs, () => fail('Connection timed out'));
  try {
    const hello = await readClientHello(socket);
    if (hello === undefined && socket.readableEnded) onClose();
    if (isOver()) return undefined;
    const context = await acceptance.choose(hello);
    if (isOver()) return undefined;
    const secured = beginTls(socket, context, acceptance.asksForCertificate);
    await untilSecure(secured);
    return { socket: secured, hello };
  } catch (error) {
    fail(error);
    return undefined;
  } finally {
    limit.stop();
    socket.off('close', onClose);
  }
}

/** What is left in a socket is the beginning of a handshake: goes on with that. */
export function beginTls(
  socket: Socket,
  secureContext: SecureContext,
  requestCert: boolean,
): TLSSocket {
  // Who shows no good certificate is a matter of the log: to everybody else TLS is open, too.
  const options = { isServer: true, secureContext, requestCert, rejectUnauthorized: false };
  const secured = new TLSSocket(socket, options);
  if (requestCert) secured.once('secure', () => judge(secured));
  return secured;
}

/**
 * The same on a connection that no socket of Node's has: one socket fewer for each client, which is a
 * sixth of what it costs to resume a session. Node makes a TLS socket that stands alone only for who
 * is about to connect; this one is given a connection, and told that it is there.
 *
 * @param fd the socket's from now on, and closed with it
 */
export function beginTlsOn(
  fd: number,
  secureContext: SecureContext,
  requestCert: boolean,
): TLSSocket {
  const options = {
    isServer: true,
    secureContext,
    requestCert,
    rejectUnauthorized: false,
    allowHalfOpen: true,
  };
  try {
    const secured = new TLSSocket(undefined as unknown as Socket, options);
    connect(secured, fd);
    if (requestCert) secured.once('secure', () => judge(secured));
    return secured;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function connect(secured: TLSSocket, fd: number): void {
  const unconnected = secured as unknown as Unconnected;
  const errno = unconnected._handle._parent.open(fd);
  if (errno !== 0) {
    secured.destroy();
    throw new OsError('open', fd, -errno);
  }
  unconnected.connecting = false;
}

/** What Node's TLS socket is before it connects: in versions 20, 22 and 24. */
interface Unconnected {
  connecting: boolean;
  /** That of TLS, and below it that of TCP. */
  readonly _handle: { readonly _parent: { open(fd: number): number } };
}

/** Waits for the end of the handshake. Whatever goes wrong with the connection later on closes it. */
export function untilSecure(secured: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    // Node tells here what went wrong, before and after the handshake; nobody else is told then.
    secured.on('_tlsError', (error: Error) => {
      reject(error);
      secured.destroy();
    });
    secured.on('error', reject);
    // Node does not mind a client that says no more in the middle of it.
    const lose = () => reject(LOST);
    secured.once('end', lose);
    secured.once('close', lose);
    secured.once('secure', resolve);
  });
}

/** It is closed, and OpenSSL says nothing about it. */
const LOST = 'lost connection';

/** Only a server of Node's own would note what became of the client's certificate. */
function judge(socket: TLSSocket): void {
  const { _handle: handle } = socket as unknown as { _handle: Handle | null };
  const error = handle?.verifyError() ?? null;
  socket.authorized = error === null;
  if (error !== null) Object.assign(socket, { authorizationError: error.code });
}

interface Handle {
  verifyError(): { readonly code: string } | null;
}
