/** The far end of socketmap and tcp tables, scripted, on a real socket. */
import { createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { atEnd } from '../../support/cleanup.ts';

/** What a server does with a key: sends these bytes, or hangs up. */
export type Script = (key: string) => string | Buffer | undefined;

export interface MapServer {
  /** `127.0.0.1:12345`, or the path. */
  readonly address: string;
  /** How many connections it has had. */
  connections(): number;
  /** Hangs up on everybody. */
  drop(): void;
}

/** A socketmap server: netstrings in, what the script says out (as a netstring, if it is text). */
export function startSocketMap(t: TestContext, script: Script, path?: string): Promise<MapServer> {
  return start(t, path, (socket) => {
    let bytes = '';
    socket.on('data', (chunk) => {
      bytes += chunk.toString('latin1');
      for (;;) {
        const found = /^(\d+):/.exec(bytes);
        if (found === null) return;
        const begin = found[0].length;
        const end = begin + Number(found[1]);
        if (bytes.length <= end) return;
        const request = bytes.slice(begin, end);
        bytes = bytes.slice(end + 1);
        const answer = script(request.slice(request.indexOf(' ') + 1));
        if (answer === undefined) socket.destroy();
        else socket.write(typeof answer === 'string' ? netstring(answer) : answer);
      }
    });
  });
}

/** A tcp server: lines in, what the script says out. */
export function startTcpMap(t: TestContext, script: Script): Promise<MapServer> {
  return start(t, undefined, (socket) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const answer = script(text.slice('get '.length, end));
        text = text.slice(end + 1);
        if (answer === undefined) socket.destroy();
        else socket.write(answer);
      }
    });
  });
}

function netstring(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([Buffer.from(`${bytes.length}:`), bytes, Buffer.from(',')]);
}

async function start(
  t: TestContext,
  path: string | undefined,
  serve: (socket: Socket) => void,
): Promise<MapServer> {
  const open = new Set<Socket>();
  let count = 0;
  const server: Server = createServer((socket) => {
    count += 1;
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    serve(socket);
  });
  await new Promise<void>((done) => {
    if (path === undefined) server.listen(0, '127.0.0.1', done);
    else server.listen(path, done);
  });
  const drop = () => {
    for (const socket of open) socket.destroy();
  };
  atEnd(t, () => {
    drop();
    server.close();
  });
  const where = server.address();
  const address =
    where !== null && typeof where === 'object' ? `127.0.0.1:${where.port}` : String(where);
  return { address, connections: () => count, drop };
}
