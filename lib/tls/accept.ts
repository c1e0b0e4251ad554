/** From a connection in plain text to one that nobody else can read: the server's side. */
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { after } from '../clock/clock.ts';
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

/** Waits for the end of the handshake. Whatever goes wrong with the connection later on closes it. */
export function untilSecure(secured: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    // Node tells here what went wrong, before and after the handshake; nobody else is told then.
    secured.on('_tlsError', (error: Error) => {
      reject(error);
      secured.destroy();
    });
    secured.on('error', reject);
    secured.once('close', () => reject(LOST));
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
