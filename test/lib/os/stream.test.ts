/** TCP connections without Node's own sockets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { declare } from '../../../lib/os/native.ts';
import { bindInet, socketPair } from '../../../lib/os/sockets.ts';
import { acceptClient, peek, sendAtOnceFrom, sendFrom, skip } from '../../../lib/os/stream.ts';
import { atEnd } from '../../support/cleanup.ts';
import { freePort } from '../../support/ports.ts';

const getsockopt = declare(
  'int getsockopt(int fd, int level, int option, void *value, void *length)',
);
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

test('clients of a listener that sends at once do so, too', async (t) => {
  const port = await freePort();
  const fd = bindInet('127.0.0.1', port, 10);
  atEnd(t, () => closeSync(fd));
  sendAtOnceFrom(fd);
  const client = connect(port, '127.0.0.1');
  atEnd(t, () => client.destroy());
  await once(client, 'connect');
  const accepted = acceptClient(fd)?.fd ?? assert.fail('nobody there');
  atEnd(t, () => closeSync(accepted));
  const [value, length] = [Buffer.alloc(4), Buffer.from([4, 0, 0, 0])];
  assert.equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, value, length), 0);
  assert.equal(value.readInt32LE(), 1);
});

test('what has come on a connection can be looked at, and skipped', () => {
  const [here, there] = socketPair();
  assert.equal(peek(here, 100), undefined);
  assert.equal(sendFrom(there, Buffer.from('header, and the rest'), 20), 20);
  assert.equal(peek(here, 6)?.toString(), 'header');
  assert.equal(skip(here, 12), true);
  assert.equal(peek(here, 100)?.toString(), 'the rest');
  closeSync(there);
  assert.equal(skip(here, 8), true);
  assert.equal(peek(here, 100)?.length, 0);
  assert.equal(sendFrom(here, Buffer.from('too late'), 8), -1);
  closeSync(here);
});

test('as much is sent as goes out at once', () => {
  const [here, there] = socketPair();
  const much = Buffer.alloc(4 * 1024 * 1024);
  const sent = sendFrom(here, much, much.length);
  assert.ok(sent > 0 && sent < much.length);
  assert.equal(sendFrom(here, much, much.length), 0);
  closeSync(here);
  closeSync(there);
});
