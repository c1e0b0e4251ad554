/** One question to one name server, and the wait for its answer: UDP, and TCP when it is long. */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { withDeadline } from '../async/deadline.ts';
import { connectTo } from '../net/connect.ts';
import type { Nameserver } from './resolv-conf.ts';
import { encodeQuery, type Query, type Response, readResponse } from './wire.ts';

/**
 * Asks, from a random port the kernel picks. Whatever does not match the question is ignored.
 *
 * @throws when nothing usable comes in `timeoutMs`, or the server can't be reached
 */
export async function exchange(
  server: Nameserver,
  query: Query,
  timeoutMs: number,
): Promise<Response> {
  const what = `DNS question ${query.type} ${query.name} to ${server.address}`;
  const short = await withDeadline(timeoutMs, undefined, (s) => overUdp(server, query, s), what);
  if (!short.truncated) return short;
  return await withDeadline(
    timeoutMs,
    undefined,
    (s) => overTcp(server, query, timeoutMs, s),
    what,
  );
}

function overUdp(server: Nameserver, query: Query, signal: AbortSignal): Promise<Response> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.address) ? 'udp6' : 'udp4');
    let finished = false;
    const finish = (settle: () => void) => {
      if (finished) return;
      finished = true;
      signal.removeEventListener('abort', stop);
      socket.close();
      settle();
    };
    const stop = () => finish(() => reject(signal.reason));
    signal.addEventListener('abort', stop, { once: true });
    socket.on('error', (error) => finish(() => reject(error)));
    socket.on('message', (bytes) => {
      const response = readResponse(bytes, query);
      if (response !== undefined) finish(() => resolve(response));
    });
    // Connected: only this server's datagrams come in, and a closed port is told at once.
    socket.on('connect', () => socket.send(encodeQuery(query)));
    socket.connect(server.port, server.address);
  });
}

async function overTcp(
  server: Nameserver,
  query: Query,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Response> {
  const socket = await connectTo(server, { connectMs: timeoutMs, stopping: signal });
  const stop = () => socket.destroy(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const bytes = encodeQuery(query);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    socket.write(Buffer.concat([length, bytes]));
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) continue;
      const response = readResponse(received.subarray(2, 2 + received.readUInt16BE(0)), query);
      if (response === undefined) break;
      return response;
    }
    throw new Error(`no DNS answer from ${server.address} by TCP`);
  } finally {
    signal.removeEventListener('abort', stop);
    socket.on('error', () => {}).destroy();
  }
}
