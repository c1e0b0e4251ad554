import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { isOpen } from '../../../lib/os/descriptors.ts';
import { checked, isErrno } from '../../../lib/os/error.ts';
import { declare } from '../../../lib/os/native.ts';
import { bindInet } from '../../../lib/os/sockets.ts';
import { endpointOf } from '../../../lib/os/stream.ts';
import { LightListeners } from '../../../lib/server/light-listeners.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';

function setUp(t: TestContext) {
  const fd = bindInet('127.0.0.1', 0, 5);
  const { port } = endpointOf(fd);
  const clients: Socket[] = [];
  const troubles: unknown[] = [];
  const told = { onConnection: (_: Socket) => {} };
  const listeners = new LightListeners(
    [fd],
    (socket) => {
      clients.push(socket);
      told.onConnection(socket);
    },
    (error) => troubles.push(error),
  );
  atEnd(t, () => {
    listeners.end();
    for (const client of clients) client.destroy();
  });
  const newClient = async () => {
    const client = connect(port, '127.0.0.1');
    atEnd(t, () => client.destroy());
    await once(client, 'connect');
    return client;
  };
  return { fd, listeners, clients, troubles, told, newClient };
}

const prlimit = declare('int prlimit(int pid, int resource, void *wanted, void *found)');
const RLIMIT_NOFILE = 7;

/** Changes how many descriptors this process may have. @returns how many it could have before */
function swapLimit(soft?: number): number {
  const limit = Buffer.alloc(16);
  checked(prlimit(0, RLIMIT_NOFILE, null, limit), 'prlimit', 'this process');
  const before = Number(limit.readBigUInt64LE());
  if (soft === undefined) return before;
  limit.writeBigUInt64LE(BigInt(soft));
  checked(prlimit(0, RLIMIT_NOFILE, limit, null), 'prlimit', 'this process');
  return before;
}

test('whoever serves a client may say that it is enough', async (t) => {
  const { fd, listeners, clients, told, newClient } = setUp(t);
  await newClient();
  await newClient();
  told.onConnection = () => listeners.pause();
  listeners.listen();
  await eventually('the first', () => clients.length === 1);
  assert.equal(listeners.isListening, false);
  await new Promise(setImmediate);
  assert.equal(clients.length, 1);
  listeners.listen();
  listeners.listen();
  await eventually('the second', () => clients.length === 2);
  listeners.end();
  assert.equal(isOpen(fd), false);
  listeners.end();
  listeners.listen();
  assert.equal(listeners.isListening, false);
});

test('without a descriptor to spare, clients wait until there is one', async (t) => {
  const { listeners, clients, troubles, newClient } = setUp(t);
  const client = await newClient();
  listeners.listen();
  await eventually('a client', () => clients.length === 1);
  listeners.pause();
  const late = await newClient();
  const before = swapLimit();
  atEnd(t, () => swapLimit(before));
  // The lowest number that is free is one too many.
  const free = openSync('/dev/null', 'r');
  closeSync(free);
  swapLimit(free);
  listeners.listen();
  await eventually('trouble', () => troubles.length === 1);
  assert.ok(isErrno(troubles[0], 'EMFILE'), `${troubles[0]}`);
  swapLimit(before);
  await eventually('the other', () => clients.length === 2);
  assert.deepEqual([client.destroyed, late.destroyed], [false, false]);
});
