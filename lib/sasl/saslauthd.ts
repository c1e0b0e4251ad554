/** Has saslauthd(8) check a password: four counted strings there, one back. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { withDeadline } from '../async/deadline.ts';
import type { Log } from '../log/log.ts';
import { connectTo } from '../net/connect.ts';
import { describeTrouble } from '../net/trouble.ts';
import { SaslTrouble } from './exchange.ts';

/** PAM likes to take its time with wrong passwords. */
const LIMIT_MS = 30_000;
/** saslauthd takes no longer strings. */
const STRING_MAX = 1024;
const COUNT_BYTES = 2;

export interface SaslauthdRequest {
  readonly user: string;
  readonly password: string;
  readonly service: string;
  readonly realm: string;
}

/** @throws {SaslTrouble} when it can't tell; the log says why */
export async function askSaslauthd(
  path: string,
  { user, password, service, realm }: SaslauthdRequest,
  log: Log,
): Promise<boolean> {
  const strings = [user, password, service, realm].map((text) => Buffer.from(text, 'utf8'));
  if (strings.some(({ length }) => length > STRING_MAX)) return false;
  let socket: Socket | undefined;
  try {
    return await withDeadline(LIMIT_MS, undefined, async (signal) => {
      socket = await connectTo({ path }, { connectMs: LIMIT_MS, stopping: signal });
      socket.on('error', () => {});
      socket.write(Buffer.concat(strings.flatMap((each) => [countOf(each), each])));
      return (await readAnswer(socket, signal)).startsWith('OK');
    });
  } catch (error) {
    const why = describeTrouble(error);
    log.warn(`SASL authentication failure: cannot connect to saslauthd server: ${why}`);
    throw new SaslTrouble('generic failure', { cause: error });
  } finally {
    socket?.destroy();
  }
}

function countOf({ length }: Buffer): Buffer {
  const count = Buffer.alloc(COUNT_BYTES);
  count.writeUInt16BE(length);
  return count;
}

async function readAnswer(socket: Socket, signal: AbortSignal): Promise<string> {
  let bytes = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.length < COUNT_BYTES ? Infinity : COUNT_BYTES + bytes.readUInt16BE();
    if (bytes.length >= end) socket.destroy();
  });
  await once(socket, 'close', { signal });
  const length = bytes.length < COUNT_BYTES ? 0 : bytes.readUInt16BE();
  if (length < 2 || bytes.length < COUNT_BYTES + length) throw new Error('bad response');
  return bytes.toString('latin1', COUNT_BYTES, COUNT_BYTES + length);
}
