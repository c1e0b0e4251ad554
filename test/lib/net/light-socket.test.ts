import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { closeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Destination, LightSocket } from '../../../lib/net/light-socket.ts';
import { bindInet } from '../../../lib/os/sockets.ts';
import { acceptClient, endpointOf } from '../../../lib/os/stream.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';

/** Takes what comes, unless it is told not to. */
class Intake extends EventEmitter implements Destination {
  readonly chunks: Buffer[] = [];
  isEnded = false;
  takesMore = true;

  write(chunk: Buffer): boolean {
    this.chunks.push(chunk);
    return this.takesMore;
  }
  end(): void {
    this.isEnded = true;
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }
}

/** Both ends of a connection; the client's is one of Node's. */
async function makePair(t: TestContext, address = '127.0.0.1') {
  const listener = bindInet(address, 0, 5);
  const client = connect({ port: endpointOf(listener).port, host: address, allowHalfOpen: true });
  client.on('error', () => {});
  await once(client, 'connect');
  const { fd, remote } = await eventually('a client', () => acceptClient(listener) ?? false);
  assert.equal(acceptClient(listener), undefined);
  const socket = new LightSocket(fd, remote);
  let closed = 0;
  socket.on('close', () => {
    closed += 1;
  });
  atEnd(t, () => {
    client.destroy();
    socket.destroy();
    closeSync(listener);
  });
  return { client, socket, closed: () => closed };
}

const has = (what: string, condition: () => boolean) => eventually(what, condition);

/** All that comes until the other side says that it was all. */
async function readAll(client: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  client.on('data', (chunk) => chunks.push(chunk));
  client.resume();
  await once(client, 'end');
  return Buffer.concat(chunks);
}

for (const address of ['127.0.0.1', '::1']) {
  test(`both ends have their names: ${address}`, async (t) => {
    const { client, socket } = await makePair(t, address).catch((error: Error) => {
      if (!/EADDRNOTAVAIL|EAFNOSUPPORT/.test(`${(error as NodeJS.ErrnoException).code}`))
        throw error;
      t.skip(`no ${address} here`);
      return {} as Awaited<ReturnType<typeof makePair>>;
    });
    if (client === undefined) return;
    assert.deepEqual(
      [socket.remoteAddress, socket.remotePort, socket.localAddress, socket.localPort],
      [client.localAddress, client.localPort, client.remoteAddress, client.remotePort],
    );
    socket.destroy();
    assert.equal(socket.localAddress, client.remoteAddress);
  });
}

test('what has come before is there at once, the rest when it comes, and then the end', async (t) => {
  const { client, socket } = await makePair(t);
  client.write('one');
  await has('the first piece', () => socket.peek().length > 0);
  const intake = new Intake();
  socket.pipe(intake);
  assert.equal(intake.text, 'one');
  client.end('two');
  await has('the end', () => intake.isEnded);
  assert.equal(intake.text, 'onetwo');
  assert.equal(socket.destroyed, false);
  socket.write('déjà vu');
  socket.destroySoon();
  assert.equal((await readAll(client)).toString(), 'déjà vu');
});

test('whoever takes no more gets no more, until there is room', async (t) => {
  const { client, socket } = await makePair(t);
  const intake = new Intake();
  intake.takesMore = false;
  socket.pipe(intake);
  const sent = randomBytes(8 * 1024 * 1024);
  client.end(sent);
  await has('a piece', () => intake.chunks.length === 1);
  await has('a client that waits', () => client.writableLength > 0);
  assert.equal(intake.chunks.length, 1);
  for (let count = 2; count <= 4; count += 1) {
    intake.emit('drain');
    await has('one more piece', () => intake.chunks.length === count);
  }
  intake.takesMore = true;
  intake.emit('drain');
  await has('the end', () => intake.isEnded);
  assert.ok(Buffer.concat(intake.chunks).equals(sent));
});

test('a client that reads slowly gets all, and then the connection is closed', async (t) => {
  const { client, socket, closed } = await makePair(t);
  client.pause();
  const text = 'x'.repeat(63) + '\n';
  const expected = createHash('sha256');
  const write = (piece: string) => {
    expected.update(piece);
    return socket.write(piece);
  };
  while (write(text.repeat(1000)));
  assert.ok(socket.writableLength > 0);
  // What comes later waits behind it.
  assert.equal(write('short'), false);
  let drained = 0;
  socket.on('drain', () => {
    drained += 1;
  });
  socket.pipe(new Intake());
  const all = readAll(client);
  await has('room again', () => drained === 1);
  assert.equal(socket.writableLength, 0);
  client.pause();
  while (write(text.repeat(20_000)));
  socket.destroySoon();
  assert.deepEqual(
    [socket.destroyed, socket.writable, socket.write('late')],
    [false, false, false],
  );
  client.resume();
  assert.equal(
    createHash('sha256')
      .update(await all)
      .digest('hex'),
    expected.digest('hex'),
  );
  await has('the close', () => closed() === 1);
  assert.equal(drained, 1);
});

test('who has said all waits for the client, and drops what still comes', async (t) => {
  const { client, socket, closed } = await makePair(t);
  const intake = new Intake();
  socket.pipe(intake);
  socket.write('bye');
  socket.end();
  socket.unpipe();
  socket.resume();
  assert.equal((await readAll(client)).toString(), 'bye');
  client.write('x'.repeat(1024 * 1024));
  assert.equal(closed(), 0);
  client.end();
  await has('the close', () => closed() === 1);
  assert.equal(intake.text, '');
});

for (const [name, state] of Object.entries({
  'while it is read': (socket: LightSocket): void => socket.pipe(new Intake()),
  'while its output waits': (socket: LightSocket): void => {
    while (socket.write('x'.repeat(100_000)));
  },
  'while somebody waits to peek': (socket: LightSocket): void => {
    void socket.untilReadable();
  },
})) {
  test(`a client that resets the connection, ${name}`, async (t) => {
    const { client, socket, closed } = await makePair(t);
    state(socket);
    client.resetAndDestroy();
    await has('trouble', () => socket.destroyed || socket.peek().length === 0);
    socket.write('x');
    socket.pipe(new Intake());
    await has('the close', () => closed() === 1);
    assert.equal(socket.write('x'), false);
    socket.destroy();
    socket.destroySoon();
    assert.equal(socket.peek().length, 0);
    await new Promise(setImmediate);
    assert.equal(closed(), 1);
  });
}

test('it becomes one of Nodes sockets, with all that was on the way', async (t) => {
  const { client, socket, closed } = await makePair(t);
  client.pause();
  const sent: string[] = [];
  for (let more = true; more; ) {
    sent.push(`${sent.length}`.repeat(20_000));
    more = socket.write(sent.at(-1) ?? '');
  }
  client.write('for both');
  await socket.untilReadable();
  assert.equal(socket.peek().toString(), 'for both');
  const taken = socket.takeOver();
  atEnd(t, () => taken.destroy());
  const all = readAll(client);
  taken.end('!');
  assert.equal((await all).toString(), `${sent.join('')}!`);
  const [chunk] = (await once(taken, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'for both');
  assert.deepEqual([socket.destroyed, closed()], [true, 0]);
});

test('it gives its connection away when all it wrote is gone', async (t) => {
  const { client, socket, closed } = await makePair(t);
  client.pause();
  let sent = 0;
  for (let more = true; more; sent += 20_000) more = socket.write('x'.repeat(20_000));
  assert.equal(socket.takeDescriptor(), undefined);
  const drained = once(socket, 'drain');
  const all = readAll(client);
  await drained;
  client.write('for another');
  await socket.untilReadable();
  const fd = socket.takeDescriptor() ?? -1;
  assert.deepEqual([socket.destroyed, socket.takeDescriptor()], [true, undefined]);
  const owner = new LightSocket(fd, endpointOf(fd));
  const intake = new Intake();
  owner.pipe(intake);
  owner.end();
  assert.equal((await all).length, sent);
  await has('what was for another', () => intake.text === 'for another');
  assert.equal(closed(), 0);
  owner.destroy();
});

test('many at once, each with its own words', async (t) => {
  const pairs = await Promise.all(Array.from({ length: 100 }, () => makePair(t)));
  const intakes = pairs.map(({ socket }) => {
    const intake = new Intake();
    socket.pipe(intake);
    return intake;
  });
  pairs.forEach(({ client }, at) => {
    client.write(`client ${at}`);
  });
  await has('all words', () => intakes.every(({ text }, at) => text === `client ${at}`));
  // A descriptor that is closed is the next client's: nobody hears of the one before.
  for (const { socket } of pairs) socket.destroy();
  const { client, socket } = await makePair(t);
  const intake = new Intake();
  socket.pipe(intake);
  client.write('another');
  await has('the words', () => intake.text === 'another');
  assert.ok(intakes.every(({ text }, at) => text === `client ${at}`));
});
