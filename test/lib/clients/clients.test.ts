/** How clients use, keep and lose connections. The servers are scripted, on real sockets. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { AnvilClient } from '../../../lib/clients/anvil.ts';
import { BounceClient, type BounceOptions } from '../../../lib/clients/bounce.ts';
import { CLEANUP_STATUS, CleanupClient } from '../../../lib/clients/cleanup.ts';
import { RewriteClient } from '../../../lib/clients/rewrite.ts';
import { NO_DETAIL } from '../../../lib/dsn/detail.ts';
import { announcement, formatAttributes } from '../../../lib/ipc/attributes.ts';
import type { IpcConnection } from '../../../lib/ipc/connection.ts';
import { int, str } from '../../../lib/ipc/fields.ts';
import { keepingReply } from '../../../lib/ipc/keep.ts';
import { PROTOCOLS } from '../../../lib/ipc/protocols.ts';
import type { Log } from '../../../lib/log/log.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually, PATIENCE_MS } from '../../support/condition.ts';
import { freshDirectory } from '../../support/directories.ts';
import { scriptedService } from '../../support/scripted-service.ts';
import { sampleRequest } from '../delivery/sample-request.ts';

const APPEND = { nrequest: int };
const [RECIPIENT] = sampleRequest.recipients;

/** A queue directory to work in, as daemons do. @returns the path of the defer service in it */
function inQueueDirectory(t: TestContext): string {
  const directory = freshDirectory(t);
  mkdirSync(`${directory}/private`);
  const before = process.cwd();
  process.chdir(directory);
  atEnd(t, () => process.chdir(before));
  return `${directory}/private/defer`;
}

function appender(t: TestContext, options: BounceOptions = {}): () => Promise<boolean> {
  const client = new BounceClient({ timeoutMs: PATIENCE_MS, ...options });
  atEnd(t, () => client.close());
  assert(RECIPIENT !== undefined);
  return () => client.append('defer', 'ABCDEF', 0, RECIPIENT, NO_DETAIL);
}

/** Answers appends with 0, until `more` says no. */
async function serveAppends(
  connection: IpcConnection,
  reply: Buffer,
  more: () => boolean,
): Promise<void> {
  await connection.send(announcement(PROTOCOLS.bounce));
  do {
    if ((await connection.receive(APPEND, { extra: true })) === undefined) return;
    await connection.send(reply);
  } while (more());
}

const OK = formatAttributes([['status', 0]]);
const OK_KEPT = keepingReply([['status', 0]]);

test('a server that keeps the connection is asked again on it', async (t) => {
  const path = inQueueDirectory(t);
  const service = await scriptedService(t, path, (each) => serveAppends(each, OK_KEPT, () => true));
  const append = appender(t);
  for (let count = 0; count < 5; count += 1) assert.equal(await append(), true);
  assert.equal(service.connections(), 1);
});

test('a server that closes, as Postfix does, is asked on a new one', async (t) => {
  const path = inQueueDirectory(t);
  const service = await scriptedService(t, path, (each) => serveAppends(each, OK, () => false));
  const append = appender(t);
  for (let count = 0; count < 5; count += 1) assert.equal(await append(), true);
  assert.equal(service.connections(), 5);
});

test('a kept connection that is closed with the request on its way: it is sent again', async (t) => {
  const path = inQueueDirectory(t);
  let asked = 0;
  await scriptedService(t, path, async (connection) => {
    await connection.send(announcement(PROTOCOLS.bounce));
    await connection.receive(APPEND, { extra: true });
    asked += 1;
    await connection.send(OK_KEPT);
    // It takes the second request, and leaves without a word.
    await connection.receive(APPEND, { extra: true });
    connection.abort();
  });
  const append = appender(t);
  for (let count = 0; count < 4; count += 1) assert.equal(await append(), true);
  assert.equal(asked, 4);
});

test('idle connections are closed', async (t) => {
  const path = inQueueDirectory(t);
  let ended = 0;
  await scriptedService(t, path, async (connection) => {
    await serveAppends(connection, OK_KEPT, () => true);
    ended += 1;
  });
  assert.equal(await appender(t, { limits: { idleMs: 50, ttlMs: 60_000 } })(), true);
  await eventually('the end of the connection', () => ended === 1);
});

const FAILURES: [string, (connection: IpcConnection) => Promise<void>][] = [
  ['says it failed', (each) => serveAppends(each, formatAttributes([['status', -1]]), () => false)],
  ['announces another protocol', (each) => each.send(announcement(PROTOCOLS.flush))],
  ['closes at once', async () => {}],
  ['closes after the request', (each) => serveAppends(each, Buffer.alloc(0), () => false)],
  ['answers nonsense', (each) => serveAppends(each, Buffer.from('\xff\0\xfe'), () => false)],
];
for (const [what, serve] of FAILURES) {
  test(`an append fails when the server ${what}`, async (t) => {
    const path = inQueueDirectory(t);
    await scriptedService(t, path, serve);
    assert.equal(await appender(t)(), false);
  });
}

test('an append fails when nobody is there', async (t) => {
  inQueueDirectory(t);
  assert.equal(await appender(t)(), false);
});

test('cleanup: the next message goes over the kept connection, with its own queue id', async (t) => {
  const path = `${freshDirectory(t)}/cleanup`;
  const received: string[] = [];
  const service = await scriptedService(t, path, async (connection) => {
    for (let count = 1; ; count += 1) {
      const hello = announcement(PROTOCOLS.cleanup, ['queue_id', `ABCDEF${count}`]);
      if (count === 1) await connection.send(hello);
      const flags = await connection.receive({ flags: int });
      if (flags === undefined) return;
      if (count > 1) await connection.send(hello);
      const records = (await connection.receiveBytes())?.toString();
      received.push(`${flags.flags} ${records}`);
      await connection.send(
        keepingReply([
          ['status', count === 2 ? CLEANUP_STATUS.CONT : 0],
          ['reason', count === 2 ? '5.7.1 no' : ''],
        ]),
      );
    }
  });
  const client = new CleanupClient({ socketPath: path });
  atEnd(t, () => client.close());
  const results: unknown[] = [];
  for (const flags of [178, 50, 178]) {
    const message = await client.open(flags);
    await message.write(Buffer.from('records'));
    results.push([message.queueId, await message.finish()]);
  }
  assert.deepEqual(results, [
    ['ABCDEF1', { status: 0, reason: '' }],
    ['ABCDEF2', { status: CLEANUP_STATUS.CONT, reason: '5.7.1 no' }],
    ['ABCDEF3', { status: 0, reason: '' }],
  ]);
  assert.deepEqual(received, ['178 records', '50 records', '178 records']);
  assert.equal(service.connections(), 1);
});

test('cleanup that dies in the middle of a message: a write error, not a hang', async (t) => {
  const path = `${freshDirectory(t)}/cleanup`;
  await scriptedService(t, path, async (connection) => {
    await connection.send(announcement(PROTOCOLS.cleanup, ['queue_id', 'ABCDEF1']));
    await connection.receive({ flags: int });
    connection.abort();
  });
  const client = new CleanupClient({ socketPath: path });
  const message = await client.open(178);
  const chunk = Buffer.alloc(1 << 16);
  for (let count = 0; count < 50; count += 1) await message.write(chunk);
  assert.deepEqual(await message.finish(), { status: CLEANUP_STATUS.WRITE, reason: '' });
});

test('cleanup that dies before it has said anything is asked again', async (t) => {
  const directory = freshDirectory(t);
  let connections = 0;
  await scriptedService(t, `${directory}/cleanup`, async (connection) => {
    connections += 1;
    if (connections < 3) return connection.close();
    await connection.send(announcement(PROTOCOLS.cleanup, ['queue_id', '4bCdEf2']));
    await connection.receive({ flags: int });
  });
  const client = new CleanupClient({ socketPath: `${directory}/cleanup`, timeoutMs: PATIENCE_MS });
  atEnd(t, () => client.close());
  const message = await client.open(0);
  assert.equal(message.queueId, '4bCdEf2');
  message.abort();
});

test('cleanup that announces a queue id that is none is not believed', async (t) => {
  const path = `${freshDirectory(t)}/cleanup`;
  await scriptedService(t, path, (connection) =>
    connection.send(announcement(PROTOCOLS.cleanup, ['queue_id', '../../etc/passwd'])),
  );
  await assert.rejects(new CleanupClient({ socketPath: path }).open(178), /bad queue id/);
});

test('rewrite: the same question is asked once; a server whose tables changed is left', async (t) => {
  const path = `${freshDirectory(t)}/rewrite`;
  const questions: string[] = [];
  const service = await scriptedService(t, path, async (connection) => {
    await connection.send(announcement(PROTOCOLS.rewrite));
    for (;;) {
      const request = await connection.receive({ request: str, rule: str, address: str });
      if (request === undefined) return;
      questions.push(request.address);
      await connection.send([
        ['flags', request.address === 'last' ? 1 : 0],
        ['address', `${request.address}@here`],
      ]);
    }
  });
  const client = new RewriteClient({ socketPath: path });
  atEnd(t, () => client.close());
  const ask = (address: string) => client.rewrite('local', address);
  assert.deepEqual(await Promise.all(['a', 'a', 'a'].map(ask)), ['a@here', 'a@here', 'a@here']);
  assert.equal(await ask('last'), 'last@here');
  assert.equal(await ask('b'), 'b@here');
  assert.deepEqual(questions, ['a', 'last', 'b']);
  assert.equal(service.connections(), 2);
});

test('a service that is not there is tried again, so often', async (t) => {
  const path = `${freshDirectory(t)}/rewrite`;
  const patience = { tries: 3, pauseMs: 10 };
  const client = new RewriteClient({ socketPath: path, patience });
  await assert.rejects(client.rewrite('local', 'a'), {
    name: 'IpcError',
    message: `connect to ${path}: No such file or directory`,
  });
});

const ANVIL_HELLO = Buffer.from('protocol=anvil_protocol\n\n');

test('a failing anvil stops nothing, and is warned of once', async (t) => {
  const path = `${freshDirectory(t)}/anvil`;
  const lines: string[] = [];
  const log = {
    warn: (text: string) => lines.push(`warn ${text}`),
    info: (text: string) => lines.push(`info ${text}`),
  } as unknown as Log;
  const client = new AnvilClient({ socketPath: path, timeoutMs: PATIENCE_MS, pauseMs: 0, log });
  const visit = () => client.visit('smtpd:192.0.2.1');
  assert.equal(await visit().connect(), undefined);
  assert.equal(await visit().count('message'), undefined);
  const broken = await scriptedService(t, path, async (connection) => {
    await connection.send(ANVIL_HELLO);
    await connection.receiveBytes();
    await connection.send(Buffer.from('status=0\nco'));
  });
  assert.equal(await visit().connect(), undefined);
  broken.stop();
  await scriptedService(t, path, async (connection) => {
    await connection.send(ANVIL_HELLO);
    await connection.receiveBytes();
    await connection.send(Buffer.from('status=0\nrate=7\n\n'));
    await connection.awaitEnd();
  });
  assert.equal(await visit().count('auth'), 7);
  assert.deepEqual(lines, [
    `warn connect to ${path}: No such file or directory -- going on without limits for clients`,
    'info anvil answers again',
  ]);
  client.close();
});

test('an anvil that hangs is not waited for by each client', async (t) => {
  const path = `${freshDirectory(t)}/anvil`;
  const service = await scriptedService(t, path, (connection) => connection.awaitEnd());
  const client = new AnvilClient({ socketPath: path, timeoutMs: 100, pauseMs: 60_000 });
  assert.equal(await client.visit('smtpd:192.0.2.1').connect(), undefined);
  assert.equal(await client.visit('smtpd:192.0.2.2').connect(), undefined);
  assert.equal(service.connections(), 1);
  const impatient = new AnvilClient({ socketPath: path, timeoutMs: 100, pauseMs: 0 });
  assert.equal(await impatient.visit('smtpd:192.0.2.1').connect(), undefined);
  assert.equal(service.connections(), 2);
  const visits = ['2', '3', '4'].map((host) => impatient.visit(`smtpd:192.0.2.${host}`));
  await Promise.all(visits.map((visit) => visit.connect()));
  assert.equal(service.connections(), 3);
});

test('each client has a connection to anvil of its own, and the next one takes it over', async (t) => {
  const path = `${freshDirectory(t)}/anvil`;
  const service = await scriptedService(t, path, async (connection) => {
    await connection.send(ANVIL_HELLO);
    for (let bytes = await connection.receiveBytes(); bytes; ) {
      const isConnect = bytes.toString().startsWith('request=connect\n');
      await connection.send(Buffer.from(`status=0\n${isConnect ? 'count=1\nrate=1\n' : ''}\n`));
      bytes = await connection.receiveBytes();
    }
  });
  const client = new AnvilClient({ socketPath: path });
  const [first, second] = [client.visit('smtpd:192.0.2.1'), client.visit('smtpd:192.0.2.2')];
  await Promise.all([first.connect(), second.connect()]);
  assert.equal(service.connections(), 2);
  await first.disconnect();
  const third = client.visit('smtpd:192.0.2.3');
  assert.deepEqual(await third.connect(), { status: 0, count: 1, rate: 1 });
  assert.equal(service.connections(), 2);
  await Promise.all([second.disconnect(), third.disconnect()]);
  client.close();
});
