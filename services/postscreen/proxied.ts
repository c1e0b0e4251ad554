/** postscreen_upstream_proxy_protocol: a proxy in front of us tells who the client is, before all else. */
import { monotonic } from '../../lib/clock/clock.ts';
import { escapeBytes } from '../../lib/log/escape.ts';
import {
  type Endpoints,
  PROXY_HEADER_MAX,
  ProxyHeaderError,
  parseProxyHeader,
} from '../../lib/net/proxy-header.ts';
import type { ClientSocket } from './client-socket.ts';

/** A part of a header in pieces: look again after a while, for what is there already stays there. */
const PIECE_PAUSE_MS = 50;

export interface ProxyLimits {
  readonly seconds: number;
  /** Those of inet_protocols. */
  readonly families: readonly (4 | 6)[];
}

/**
 * Reads the header; what the client itself has sent stays to be read.
 *
 * @returns `undefined` when the proxy speaks for itself
 * @throws {ProxyHeaderError} the proxy did not say who the client is; the message is for the log
 */
export async function readProxyHeader(
  socket: ClientSocket,
  { seconds, families }: ProxyLimits,
): Promise<Endpoints | undefined> {
  const expiresAt = monotonic() + seconds * 1000;
  for (let pauseMs = 0; ; pauseMs = PIECE_PAUSE_MS) {
    const remainingMs = expiresAt - monotonic();
    if (remainingMs <= 0) throw new ProxyHeaderError('time limit exceeded');
    await socket.await(Math.min(remainingMs, pauseMs || remainingMs), pauseMs === 0);
    const said = socket.look(PROXY_HEADER_MAX);
    if (said === undefined) continue;
    if (said.length === 0) throw new ProxyHeaderError('EOF');
    const header = parse(said, families);
    if (header === undefined) continue;
    socket.skip(header.length);
    return header.endpoints;
  }
}

/** What is malformed is shown, too. */
function parse(bytes: Buffer, families: readonly (4 | 6)[]) {
  try {
    return parseProxyHeader(bytes, families);
  } catch (error) {
    if (!(error instanceof ProxyHeaderError)) throw error;
    throw new ProxyHeaderError(`${error.message}: ${escapeBytes(bytes)}`);
  }
}
