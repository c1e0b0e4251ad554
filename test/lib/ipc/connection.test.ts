import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { after, monotonic } from '../../../lib/clock/clock.ts';
import { IpcConnection } from '../../../lib/ipc/connection.ts';
import { IpcError } from '../../../lib/ipc/error.ts';
import { int, str } from '../../../lib/ipc/fields.ts';
import { expectProtocol } from '../../../lib/ipc/greeting.ts';
import { keepingReply } from '../../../lib/ipc/keep.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually, PATIENCE_MS } from '../../support/condition.ts';
import { freshDirectory } from '../../support/directories.ts';
import { wire } from './wire.ts';

/** Two ends of a connection: a scripted peer, and ours. */
async function ends(t: TestContext, timeoutMs = PATIENCE_MS) {
  const path = join(freshDirectory(t), 'socket');
  const peers: Socket[] = [];
  const arrived = new Promise<Socket>((resolve) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      peers.push(socket);
      socket.on('error', () => {});
      resolve(socket);
    });
    server.listen(path);
    atEnd(t, () => {
      for (const peer of peers) peer.destroy();
      server.close();
    });
  });
  await new Promise((resolve) => after(0, () => resolve(undefined)));
  const connection = await IpcConnection.connect(path, timeoutMs);
  atEnd(t, () => connection.abort());
  return { peer: await arrived, connection, path };
}

test('requests and replies', async (t) => {
  const { peer, connection } = await ends(t);
  const received: Buffer[] = [];
  peer.on('data', (bytes) => received.push(bytes));
  peer.write(wire('protocol␀trivial_rewrite_protocol␀␀'));
  await expectProtocol(connection, 'trivial_rewrite_protocol');
  await connection.send([['request', 'rewrite']]);
  peer.write(wire('flags␀0␀address␀a@b␀␀'));
  assert.deepEqual(await connection.receive({ flags: int, address: str }), {
    flags: 0,
    address: 'a@b',
  });
  const expected = wire('request␀rewrite␀␀');
  await eventually('the request', () => Buffer.concat(received).length === expected.length);
  assert.deepEqual(Buffer.concat(received), expected);
});

test('another protocol is refused, with both names', async (t) => {
  const { peer, connection, path } = await ends(t);
  peer.write(wire('protocol␀anvil\x07_protocol␀␀'));
  await assert.rejects(expectProtocol(connection, 'cleanup_protocol'), {
    name: 'IpcError',
    message: `unexpected protocol anvil?_protocol from ${path} socket (expected: cleanup_protocol)`,
  });
});

test('the end before the first byte is no error', async (t) => {
  const { peer, connection } = await ends(t);
  peer.end();
  assert.equal(await connection.receive({ status: int }), undefined);
});

for (const [sent, position] of [
  ['status␀0␀', 'input attribute name'],
  ['sta', 'input attribute name'],
  ['status␀', 'input attribute value'],
] as const) {
  test(`the end after ${sent} is one`, async (t) => {
    const { peer, connection, path } = await ends(t);
    peer.end(wire(sent));
    await assert.rejects(connection.receive({ status: int, reason: str }), {
      name: 'IpcError',
      message: `unexpected end-of-input from ${path} socket while reading ${position}`,
    });
  });
}

test('a peer that says nothing, or half of it, meets the time limit', async (t) => {
  const { peer, connection, path } = await ends(t, 50);
  const expected = {
    name: 'IpcError',
    message: `timeout on ${path} socket while reading input attribute name`,
  };
  await assert.rejects(connection.receive({ status: int }), expected);
  peer.write('sta');
  await assert.rejects(connection.receive({ status: int }), expected);
});

test('a peer that takes nothing meets it, too', async (t) => {
  const { peer, connection } = await ends(t, 50);
  peer.pause();
  const chunk = Buffer.alloc(1 << 20);
  const started = monotonic();
  await assert.rejects(async () => {
    while (monotonic() - started < 10_000) await connection.send(chunk);
  }, IpcError);
});

test('a peer that sends without end is not read without end', async (t) => {
  const { peer, connection } = await ends(t);
  let taken = 0;
  const chunk = Buffer.alloc(1 << 16, 'x');
  const pump = () => {
    while (peer.write(chunk)) taken += chunk.length;
  };
  peer.on('drain', pump);
  pump();
  let before = -1;
  await eventually('the peer to be stopped', () => {
    const stopped = taken === before;
    before = taken;
    return stopped;
  });
  assert(taken < 4 << 20, `it took ${taken} bytes`);
  assert.equal((await connection.receiveBytes())?.toString('latin1', 0, 3), 'xxx');
});

test('a record stream is received as it comes, and lists go on behind it', async (t) => {
  const { peer, connection } = await ends(t);
  peer.write(wire('flags␀178␀␀T<17>'));
  assert.deepEqual(await connection.receive({ flags: int }), { flags: 178 });
  const bytes = await connection.receiveBytes();
  assert.equal(bytes?.toString(), 'T<17>');
  connection.unread(wire('status␀0␀␀'));
  assert.deepEqual(await connection.receive({ status: int }), { status: 0 });
});

test('a reply that keeps the connection is recognised, and only that', async (t) => {
  const { peer, connection } = await ends(t);
  peer.write(keepingReply([['status', 0]]));
  await connection.receive({ status: int });
  assert.equal(connection.takeKeep(), true);
  assert.equal(connection.isStale, false);
  peer.write(wire('status␀0␀␀reuse␀maybe␀␀'));
  await connection.receive({ status: int });
  assert.equal(connection.takeKeep(), false);
  assert.equal(connection.isStale, true);
});

test('a client that closes without reading the rest of our reply is an end, not an error', async (t) => {
  const directory = freshDirectory(t);
  const path = join(directory, 'socket');
  const served = new Promise<unknown>((resolve) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const connection = new IpcConnection(socket, PATIENCE_MS);
      connection
        .receive({ request: str })
        .then(() => connection.send(keepingReply([['status', 0]])))
        .then(() => connection.receive({ request: str }))
        .then(resolve, resolve)
        .finally(() => {
          connection.close();
          server.close();
        });
    });
    server.listen(path);
  });
  await new Promise((resolve) => after(0, () => resolve(undefined)));
  // Postfix reads its reply byte by byte, so to speak: what follows it is never read.
  const client = connect(path, () => client.write(wire('request␀x␀␀')));
  client.on('error', () => {});
  client.once('readable', () => {
    client.read(3);
    client.destroy();
  });
  assert.equal(await served, undefined);
});

test('nobody there', async (t) => {
  const path = join(freshDirectory(t), 'nobody');
  await assert.rejects(IpcConnection.connect(path, 1000), {
    name: 'IpcError',
    message: `connect to ${path}: No such file or directory`,
  });
});
