/** What cleanup promises its clients, under our own master. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CLEANUP_FLAG, CLEANUP_STATUS, CleanupClient } from '../../../lib/clients/cleanup.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { parseRecords, toBytes } from '../../support/records.ts';
import { message, submit } from './submission.ts';

const SERVICES = [
  'cleanup unix n - n - 0 cleanup',
  'rewrite unix - - n - - trivial-rewrite',
  'bounce unix - - n - 0 bounce',
  'trace unix - - n - 0 bounce',
];

const PLAIN_TEXT = ['Subject: x', '', 'body'];
const PLAIN = message({ content: PLAIN_TEXT });

function start(t: TestContext, main: Readonly<Record<string, string>> = {}): Promise<MailSystem> {
  return startMailSystem(t, { main: { in_flow_delay: '0', ...main }, only: SERVICES });
}

const filesOf = (mail: MailSystem) => readdirSync(join(mail.queue, 'incoming'));

test('a connection is kept, and each message on it is a message of its own', async (t) => {
  const mail = await start(t);
  const client = new CleanupClient({ socketPath: join(mail.queue, 'public/cleanup') });
  atEnd(t, () => client.close());
  const ids = new Set<string>();
  for (let count = 0; count < 5; count += 1) {
    const one = await client.open(PLAIN.flags);
    await one.write(toBytes(PLAIN.records));
    assert.deepEqual(await one.finish(), { status: 0, reason: '' });
    ids.add(one.queueId);
  }
  assert.equal(ids.size, 5);
  assert.deepEqual(new Set(mail.ids('incoming')), ids);
});

test('many messages at once do not get mixed up', async (t) => {
  const mail = await start(t);
  const client = new CleanupClient({ socketPath: join(mail.queue, 'public/cleanup') });
  atEnd(t, () => client.close());
  const sent = await Promise.all(
    Array.from({ length: 40 }, async (_, number) => {
      const text = [`Subject: ${number}`, '', ...Array(200).fill(`line of ${number}`)];
      const bytes = toBytes(message({ sender: `s${number}@x.test`, content: text }).records);
      const one = await client.open(PLAIN.flags);
      for (let at = 0; at < bytes.length; at += 997) {
        await one.write(Buffer.from(bytes.subarray(at, at + 997)));
      }
      const { status } = await one.finish();
      return { number, status, queueId: one.queueId };
    }),
  );
  for (const { number, status, queueId } of sent) {
    assert.equal(status, 0);
    const records = parseRecords(readFileSync(join(mail.queue, 'incoming', queueId)));
    const of = (type: string) => records.filter((record) => record[0] === type);
    assert.deepEqual(of('S'), [['S', `s${number}@x.test`]]);
    assert.equal(of('N').filter(([, text]) => text === `line of ${number}`).length, 200);
  }
});

test('a client that goes away leaves nothing', async (t) => {
  const mail = await start(t);
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from('flags\x0f8\0\0'),
    Buffer.concat([Buffer.from('flags\x0f8\0\0'), toBytes(PLAIN.records.slice(0, -1))]),
  ]) {
    await new Promise<void>((resolve) => {
      const socket = connect(join(mail.queue, 'public/cleanup'));
      socket.once('data', () => socket.end(bytes));
      socket.once('close', () => resolve());
      socket.resume();
    });
  }
  await eventually('an empty queue', () => filesOf(mail).length === 0);
});

test('until it is complete, nobody takes it for a message', async (t) => {
  const mail = await start(t);
  const client = new CleanupClient({ socketPath: join(mail.queue, 'public/cleanup') });
  atEnd(t, () => client.close());
  const one = await client.open(PLAIN.flags);
  await one.write(toBytes(PLAIN.records.slice(0, -1)));
  const path = join(mail.queue, 'incoming', one.queueId);
  const mode = () => execFileSync('stat', ['-c', '%a', path], { encoding: 'utf8' }).trim();
  assert.equal(mode(), '600');
  await one.write(toBytes(PLAIN.records.slice(-1)));
  await one.finish();
  assert.equal(mode(), '700');
});

test('what is no list of milters ends the connection, and no milter is none', async (t) => {
  const mail = await start(t);
  const with1 = { ...PLAIN, records: [['m', '1'], ...PLAIN.records] as const };
  const with0 = { ...PLAIN, records: [['m', '0'], ...PLAIN.records] as const };
  assert.equal((await submit(mail.queue, 'cleanup', with0)).status, '0');
  assert.equal((await submit(mail.queue, 'cleanup', with1)).status, 'none');
  await mail.waitForLog(/attribute name too long|unexpected attribute/);
  await eventually('an empty queue', () => filesOf(mail).length === 0);
});

test('local mail waits when its milters can not be asked', async (t) => {
  const mail = await start(t, { non_smtpd_milters: 'inet:127.0.0.1:9' });
  const local = { ...PLAIN, flags: PLAIN.flags | CLEANUP_FLAG.MILTER };
  assert.equal((await submit(mail.queue, 'cleanup', local)).status, '256');
  await mail.waitForLog(/connect to Milter service inet:127\.0\.0\.1:9: Connection refused/);
  await mail.waitForLog(/milter-reject: CONNECT from localhost\[127\.0\.0\.1\]: 4\.7\.1 Service/);
  assert.equal((await submit(mail.queue, 'cleanup', PLAIN)).status, '0');
});

test('a table in trouble: the message is not accepted now', async (t) => {
  const mail = await start(t, { virtual_alias_maps: 'fail:always' });
  const outcome = await submit(mail.queue, 'cleanup', PLAIN);
  assert.equal(outcome.status, '2');
  assert.equal(outcome.queue, '');
});

test('addresses that lead in a circle: the message is not accepted now, and the log tells where', async (t) => {
  const mail = await startMailSystem(t, {
    only: SERVICES,
    main: {
      virtual_alias_maps: 'texthash:$config_directory/virtual',
      canonical_maps: 'inline:{from@x.test=other@x.test, other@x.test=from@x.test}',
    },
    files: { virtual: '# Circles.\na@x.test b@x.test\n@x.test\n  c@y.test\nc@y.test b@x.test\n' },
  });
  const submission = message({
    sender: 'from@x.test',
    recipients: ['a@x.test'],
    content: PLAIN_TEXT,
  });
  const outcome = await submit(mail.queue, 'cleanup', submission);
  assert.deepEqual(
    [outcome.status, outcome.reason],
    [`${CLEANUP_STATUS.DEFER}`, '4.6.0 Alias expansion error'],
  );
  await mail.waitForLog(
    /warning: \S+: virtual_alias_maps: c@y\.test -> b@x\.test -> c@y\.test; see texthash:\S+\/virtual, line 3$/,
  );
  await mail.waitForLog(
    /warning: \S+: canonical_maps: from@x\.test -> other@x\.test -> from@x\.test; see inline:/,
  );
  assert.deepEqual(mail.ids('incoming'), []);
});

test('an alias that expands is reported in the trace log', async (t) => {
  const mail = await start(t, { virtual_alias_maps: 'inline:{bob@ok.test=one@a.test}' });
  const client = new CleanupClient({ socketPath: join(mail.queue, 'public/cleanup') });
  atEnd(t, () => client.close());
  const one = await client.open(PLAIN.flags);
  const asks = message({
    recipients: [],
    envelope: [
      ['A', 'notify_flags=2'],
      ['R', 'bob@ok.test'],
    ],
    content: ['', 'x'],
  });
  await one.write(toBytes(asks.records));
  assert.equal((await one.finish()).status, 0);
  const log = readFileSync(join(mail.queue, 'trace', one.queueId), 'latin1');
  assert.match(log, /recipient=bob@ok\.test/);
  assert.match(log, /action=expanded/);
});

test('when the disk is full the client hears of it, and no message is left', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs a file system of its own');
  const mail = await startMailSystem(t, {
    main: { in_flow_delay: '0', message_size_limit: '0' },
    only: SERVICES,
    stopped: true,
  });
  mail.start();
  const incoming = join(mail.queue, 'incoming');
  await submit(mail.queue, 'cleanup', PLAIN);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', incoming], {
      stdio: 'pipe',
    });
  } catch {
    return t.skip('no right to mount');
  }
  try {
    execFileSync('chown', ['postfix', incoming]);
    const big = message({ content: ['', ...Array(3000).fill('x'.repeat(100))] });
    const outcome = await submit(mail.queue, 'cleanup', big);
    assert.equal(outcome.status, '2');
    assert.deepEqual(readdirSync(incoming), []);
    assert.equal((await submit(mail.queue, 'cleanup', PLAIN)).status, '0');
  } finally {
    // cleanup may hold a file that is gone for a moment longer.
    execFileSync('umount', ['--lazy', incoming]);
  }
});

test('logs of an earlier message with the same id are gone', async (t) => {
  const mail = await start(t);
  const client = new CleanupClient({ socketPath: join(mail.queue, 'public/cleanup') });
  atEnd(t, () => client.close());
  const one = await client.open(PLAIN.flags);
  // A message that is refused takes what was noted about it along.
  const log = join(mail.queue, 'bounce', one.queueId);
  writeFileSync(log, 'stale');
  chmodSync(log, 0o666);
  await one.write(toBytes([['E', '']]));
  assert.notEqual((await one.finish()).status, 0);
  assert.ok(!existsSync(log));
});

test('a table that changes counts for the next message', async (t) => {
  const mail = await startMailSystem(t, {
    main: { in_flow_delay: '0', virtual_alias_maps: 'texthash:$config_directory/virtual' },
    files: { virtual: 'bob@ok.test old@a.test\n' },
    only: SERVICES,
  });
  const recipient = async () => {
    const { records } = await submit(mail.queue, 'cleanup', PLAIN);
    return records.find(([type]) => type === 'R')?.[1];
  };
  assert.equal(await recipient(), 'old@a.test');
  writeFileSync(join(mail.config, 'virtual'), 'bob@ok.test brand-new@a.test\n');
  await eventually('the new alias', async () => (await recipient()) === 'brand-new@a.test');
  await mail.waitForLog(/table texthash:\S+ has changed -- restarting/);
});
