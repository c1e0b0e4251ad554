import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connectTo } from '../../../lib/net/connect.ts';
import { describeTrouble } from '../../../lib/net/trouble.ts';
import { atEnd } from '../../support/cleanup.ts';

async function listener(t: TestContext, where: { path: string } | { port: number; host: string }) {
  const server = createServer((socket) => socket.on('error', () => {}).end('hello'));
  server.listen(where);
  await once(server, 'listening');
  atEnd(t, () => server.close());
  return server;
}

test('connectTo reaches an address and port', async (t) => {
  const server = await listener(t, { port: 0, host: '127.0.0.1' });
  const { port } = server.address() as AddressInfo;
  const socket = await connectTo({ address: '127.0.0.1', port }, { connectMs: 5000 });
  const [bytes] = await once(socket, 'data');
  assert.equal(String(bytes), 'hello');
  socket.destroy();
});

test('connectTo connects from the address it is told', async (t) => {
  const server = await listener(t, { port: 0, host: '127.0.0.1' });
  const { port } = server.address() as AddressInfo;
  const limits = { connectMs: 0, localAddress: '127.0.0.7' };
  const socket = await connectTo({ address: '127.0.0.1', port }, limits);
  assert.equal(socket.localAddress, '127.0.0.7');
  socket.destroy();
});

test('connectTo reaches a socket in the file system', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-net-'));
  atEnd(t, () => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'socket');
  await listener(t, { path });
  const socket = await connectTo({ path }, { connectMs: 5000 });
  const [bytes] = await once(socket, 'data');
  assert.equal(String(bytes), 'hello');
  socket.destroy();
});

const TROUBLE = [
  { host: { address: '127.0.0.1', port: 1 }, words: 'Connection refused' },
  { host: { path: '/nonexistent/socket' }, words: 'No such file or directory' },
] as const;
for (const { host, words } of TROUBLE) {
  test(`connectTo ${JSON.stringify(host)} fails: ${words}`, async () => {
    await assert.rejects(connectTo(host, { connectMs: 5000 }), (error) => {
      assert.equal(describeTrouble(error), words);
      return true;
    });
  });
}

test('connectTo stops when it is told to', async () => {
  const stopping = AbortSignal.abort(new Error('going down'));
  await assert.rejects(
    connectTo({ address: '127.0.0.1', port: 1 }, { connectMs: 5000, stopping }),
    /going down/,
  );
});

test('a deadline reads as a connection that timed out', () => {
  const error = Object.assign(new Error('too late'), { name: 'DeadlineError' });
  assert.equal(describeTrouble(error), 'Connection timed out');
});
