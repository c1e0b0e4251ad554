import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { descriptorOf, dup, isOpen, setNonBlocking } from '../../../lib/os/descriptors.ts';
import { Poller } from '../../../lib/os/poll.ts';
import {
  bindInet,
  bindUnix,
  bindUnixDatagram,
  makeFifo,
  peerCredentials,
  pipe,
  receiveDatagram,
  receiveDescriptor,
  sendDatagram,
  sendDescriptor,
  socketPair,
} from '../../../lib/os/sockets.ts';
import { acceptClient } from '../../../lib/os/stream.ts';
import { atEnd } from '../../support/cleanup.ts';
import { PATIENCE_MS } from '../../support/condition.ts';
import { scratchDirectory } from './scratch.ts';

const ERRNO_IN_USE = /^bind 127\.0\.0\.1 port \d+: Address already in use$/;

test('a UNIX socket replaces what was there, with the mode that was asked for', async (t) => {
  const path = join(scratchDirectory(t), 'socket');
  writeFileSync(path, 'something old');
  const fd = bindUnix(path, 0o622, 10);
  atEnd(t, () => closeSync(fd));
  assert.equal(lstatSync(path).mode & 0o777, 0o622);
  assert.equal(acceptClient(fd)?.fd, undefined);
  const client = connect(path);
  atEnd(t, () => client.destroy());
  await once(client, 'connect');
  const accepted = acceptClient(fd)?.fd;
  assert.ok(accepted !== undefined);
  const { pid, uid, gid } = peerCredentials(accepted);
  assert.deepEqual([pid, uid, gid], [process.pid, process.getuid?.(), process.getgid?.()]);
  assert.equal(peerCredentials(descriptorOf(client)).pid, process.pid);
  closeSync(accepted);
});

test('a path too long for a socket is refused, not cut', () => {
  assert.throws(() => bindUnix(`/tmp/${'x'.repeat(103)}`, 0o600, 1), RangeError);
});

for (const address of ['127.0.0.1', '::1']) {
  test(`a listening socket on ${address} wakes the poller, and a server on a dup serves it`, async (t) => {
    const fd = bindInet(address, 0, 10);
    atEnd(t, () => closeSync(fd));
    const server = createServer((socket) => socket.end('hello'));
    const poller = new Poller();
    const listening = createServer().listen({ fd: dup(fd) });
    await once(listening, 'listening');
    const { port } = listening.address() as { port: number };
    await new Promise((closed) => listening.close(closed));

    const waiting = poller.poll([fd], PATIENCE_MS);
    const client = connect(port, address);
    atEnd(t, () => client.destroy());
    assert.deepEqual(await waiting, [fd]);
    server.listen({ fd: dup(fd) });
    const [text] = await once(client, 'data');
    assert.equal(String(text), 'hello');
    await new Promise((closed) => server.close(closed));
    // Another of ours may listen there, too.
    closeSync(bindInet(address, port, 1));
  });
}

test('an address that another program has is refused by name', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  atEnd(t, () => server.close());
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  assert.throws(() => bindInet('127.0.0.1', port, 1), {
    message: ERRNO_IN_USE,
    code: 'EADDRINUSE',
  });
});

test('the poller is woken, before and while it waits; a time limit ends it', async () => {
  const { read, write } = pipe();
  const poller = new Poller();
  poller.wake();
  assert.deepEqual(await poller.poll([read], -1), []);
  const waiting = poller.poll([read], -1);
  await assert.rejects(poller.poll([read], 0), /already waiting/);
  poller.wake();
  assert.deepEqual(await waiting, []);
  assert.deepEqual(await poller.poll([read], 1), []);
  writeSync(write, 'x');
  assert.deepEqual(await poller.poll([read], PATIENCE_MS), [read]);
  assert.deepEqual(await poller.poll([read], PATIENCE_MS), [read], 'not read yet: ready again');
  closeSync(write);
  closeSync(read);
});

test('datagrams keep their borders; nobody there is false', (t) => {
  const path = join(scratchDirectory(t), 'datagrams');
  assert.equal(sendDatagram(path, Buffer.from('x')), false);
  const fd = bindUnixDatagram(path, 0o600);
  atEnd(t, () => closeSync(fd));
  assert.equal(receiveDatagram(fd, 100), undefined);
  assert.equal(sendDatagram(path, Buffer.from('one')), true);
  assert.equal(sendDatagram(path, Buffer.from('two two')), true);
  assert.equal(String(receiveDatagram(fd, 100)), 'one');
  assert.equal(String(receiveDatagram(fd, 3)), 'two');
  assert.equal(receiveDatagram(fd, 100), undefined);
});

test('a FIFO is read without waiting, and does not end with its writer', (t) => {
  const path = join(scratchDirectory(t), 'fifo');
  const fd = makeFifo(path, 0o622);
  atEnd(t, () => closeSync(fd));
  const mode = lstatSync(path).mode;
  assert.equal(mode & constants.S_IFMT, constants.S_IFIFO);
  assert.equal(mode & 0o777, 0o622);
  const writer = openSync(path, 'w');
  writeSync(writer, 'F');
  closeSync(writer);
  const byte = Buffer.alloc(10);
  assert.equal(readSync(fd, byte), 1);
  assert.throws(() => readSync(fd, byte), { code: 'EAGAIN' });
});

test('a descriptor travels over a socket', () => {
  const [here, there] = socketPair();
  assert.equal(receiveDescriptor(there), undefined);
  const { read, write } = pipe();
  sendDescriptor(here, read);
  const received = receiveDescriptor(there);
  assert.ok(received !== undefined && received !== read);
  writeSync(write, 'through');
  const bytes = Buffer.alloc(20);
  assert.equal(bytes.toString('latin1', 0, readSync(received, bytes)), 'through');
  writeSync(here, 'x');
  assert.throws(() => receiveDescriptor(there), { code: 'EBADMSG' });
  for (const fd of [here, read, write, received]) closeSync(fd);
  assert.throws(() => receiveDescriptor(there), { code: 'EBADMSG' }, 'closed');
  closeSync(there);
});

test('children inherit only what their stdio names', async (t) => {
  const [ours, theirs] = socketPair();
  const copy = dup(ours);
  setNonBlocking(copy);
  assert.ok(isOpen(copy));
  // The shell itself opens nothing from 3 on, and lists what it has.
  const child = spawn(
    'sh',
    [
      '-c',
      'for f in /proc/self/fd/*; do [ ${f##*/} -gt 2 ] && [ -S "$f" ] && echo "${f##*/}"; done >&3',
    ],
    {
      stdio: ['ignore', 'ignore', 'inherit', theirs],
    },
  );
  atEnd(t, () => child.kill());
  closeSync(theirs);
  const socket = new Socket({ fd: ours });
  let text = '';
  for await (const bytes of socket) text += bytes;
  assert.equal(text, '3\n');
  closeSync(copy);
  assert.equal(isOpen(copy), false);
});
