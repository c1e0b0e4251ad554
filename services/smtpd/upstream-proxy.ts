/** smtpd_upstream_proxy_protocol: a proxy in front of us tells who the client is, before all else. */
import type { Socket } from 'node:net';
import { DeadlineError, withDeadline } from '../../lib/async/deadline.ts';
import { escapeBytes } from '../../lib/log/escape.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import {
  type Endpoints,
  PROXY_HEADER_MAX,
  ProxyHeaderError,
  parseProxyHeader,
  socketEndpoints,
} from '../../lib/net/proxy-header.ts';

/** The parameters that say so. */
export interface UpstreamSettings {
  readonly smtpd_upstream_proxy_protocol: string;
  readonly smtpd_upstream_proxy_timeout: number;
}

/** The proxy did not say who the client is. The message is for the log. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
}

/** @throws {FatalError} when the proxy is to speak what we don't */
export function checkUpstream(settings: UpstreamSettings): void {
  const { smtpd_upstream_proxy_protocol: protocol } = settings;
  if (protocol === '' || protocol === 'haproxy') return;
  throw new FatalError(
    `unsupported smtpd_upstream_proxy_protocol value: ${protocol}; it can be haproxy or empty`,
  );
}

/**
 * Who is at both ends of a connection: as the socket says, or the proxy in front of us.
 *
 * @param families those of inet_protocols
 * @throws {UpstreamError}
 */
export async function clientEndpoints(
  socket: Socket,
  settings: UpstreamSettings,
  families: readonly (4 | 6)[],
): Promise<Endpoints> {
  const { smtpd_upstream_proxy_protocol: protocol, smtpd_upstream_proxy_timeout: seconds } =
    settings;
  const told = protocol === '' ? undefined : await readUpstream(socket, seconds, families);
  return told ?? socketEndpoints(socket);
}

/**
 * Reads the header. What the client itself has sent stays in the socket.
 *
 * @returns `undefined` when the proxy speaks for itself
 * @throws {UpstreamError}
 */
async function readUpstream(
  socket: Socket,
  seconds: number,
  families: readonly (4 | 6)[],
): Promise<Endpoints | undefined> {
  try {
    return await withDeadline(seconds * 1000, undefined, (signal) =>
      receive(socket, families, signal),
    );
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    throw new UpstreamError('haproxy read: timeout error');
  }
}

async function receive(
  socket: Socket,
  families: readonly (4 | 6)[],
  signal: AbortSignal,
): Promise<Endpoints | undefined> {
  let bytes: Buffer = Buffer.alloc(0);
  while (!signal.aborted) {
    const more = (await nextChunk(socket)) ?? undefined;
    if (more === undefined) throw new UpstreamError('haproxy read: EOF');
    bytes = Buffer.concat([bytes, more]);
    const header = parse(bytes, families);
    if (header === undefined) continue;
    const rest = bytes.subarray(header.length);
    if (rest.length > 0) socket.unshift(rest);
    return header.endpoints;
  }
  return undefined;
}

function parse(bytes: Buffer, families: readonly (4 | 6)[]) {
  try {
    return parseProxyHeader(bytes, families);
  } catch (error) {
    if (!(error instanceof ProxyHeaderError)) throw error;
    const shown = escapeBytes(bytes.subarray(0, PROXY_HEADER_MAX));
    throw new UpstreamError(`haproxy read: ${error.message}: ${shown}`);
  }
}

/** @returns `null` when there is no more */
async function nextChunk(socket: Socket): Promise<Buffer | null> {
  for (;;) {
    const chunk: Buffer | null = socket.read();
    if (chunk !== null || socket.readableEnded || socket.destroyed) return chunk;
    await new Promise<void>((resolve) => {
      const done = () => {
        for (const event of EVENTS) socket.off(event, done);
        resolve();
      };
      for (const event of EVENTS) socket.on(event, done);
    });
  }
}

const EVENTS = ['readable', 'end', 'close'] as const;
