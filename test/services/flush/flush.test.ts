import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FLUSH_STATUS, FlushClient } from '../../../lib/clients/flush.ts';
import { IpcConnection } from '../../../lib/ipc/connection.ts';
import { int } from '../../../lib/ipc/fields.ts';
import { expectProtocol } from '../../../lib/ipc/greeting.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually, PATIENCE_MS } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { writeMessage } from '../showq/queue-sample.ts';

const only = ['flush unix n - n - 0 flush'];
const main = { fast_flush_domains: 'slow.test, sub.test, [192.0.2.1]' };
const ID = 'CA35A220343';

async function startFlush(t: Parameters<typeof startMailSystem>[0]) {
  const mail = await startMailSystem(t, { only, main });
  const client = new FlushClient({ socketPath: join(mail.queue, 'public/flush') });
  atEnd(t, () => client.close());
  return { mail, client };
}

function writeDeferred(mail: MailSystem): string {
  return writeMessage(mail.queue, {
    queue: 'deferred',
    id: ID,
    sender: 'ann@client.test',
    recipients: ['bob@slow.test'],
  });
}

for (const { site, status, log } of [
  { site: 'slow.test', status: FLUSH_STATUS.OK, log: 'slow_test' },
  { site: 'SLOW.test', status: FLUSH_STATUS.OK, log: 'slow_test' },
  { site: 'a.sub.test', status: FLUSH_STATUS.OK, log: 'a_sub_test' },
  { site: '[192.0.2.1]', status: FLUSH_STATUS.OK, log: '_192_0_2_1_' },
  { site: 'other.test', status: FLUSH_STATUS.DENY, log: undefined },
  { site: '', status: FLUSH_STATUS.DENY, log: undefined },
]) {
  test(`a message for ${site || 'no site'} is ${log ? 'noted' : 'not noted'}`, async (t) => {
    const { mail, client } = await startFlush(t);
    assert.equal(await client.add(site, ID), status);
    const folder = join(mail.queue, 'flush');
    assert.deepEqual(readdirSync(folder), log === undefined ? [] : [log]);
    if (log !== undefined) assert.equal(readFileSync(join(folder, log), 'latin1'), `${ID}\n`);
  });
}

for (const id of ['../../x', 'a/b', '']) {
  test(`a queue id ${JSON.stringify(id)} is refused`, async (t) => {
    const { mail, client } = await startFlush(t);
    assert.equal(await client.add('slow.test', id), FLUSH_STATUS.BAD);
    assert.deepEqual(readdirSync(join(mail.queue, 'flush')), []);
  });
}

test('a request that is damaged is refused, and the log says whose it was', async (t) => {
  const { mail } = await startFlush(t);
  const connection = await IpcConnection.connect(join(mail.queue, 'public/flush'), PATIENCE_MS);
  atEnd(t, () => connection.close());
  await expectProtocol(connection, 'queue_flush_protocol');
  await connection.send([['who', 'me']]);
  assert.deepEqual(await connection.receive({ status: int }), { status: FLUSH_STATUS.BAD });
  const uid = process.getuid?.();
  await mail.waitForLog(new RegExp(`warning: .* flush socket \\(client uid ${uid}\\)`));
});

test('send_site moves what is noted to incoming, due now, and empties the log', async (t) => {
  const { mail, client } = await startFlush(t);
  writeDeferred(mail);
  await client.add('slow.test', ID);
  await client.add('slow.test', ID);
  await client.add('slow.test', 'BEEFBEEF');
  const before = Math.floor(Date.now() / 1000);
  assert.equal(await client.sendSite('slow.test'), FLUSH_STATUS.OK);
  assert.deepEqual(mail.ids('deferred'), []);
  assert.deepEqual(mail.ids('incoming'), [ID]);
  assert.ok(statSync(join(mail.queue, 'incoming', ID)).mtimeMs / 1000 >= before);
  assert.equal(statSync(join(mail.queue, 'flush/slow_test')).size, 0);
});

test('send_file moves one message and lets its destinations be tried', async (t) => {
  const { mail, client } = await startFlush(t);
  writeDeferred(mail);
  assert.equal(await client.sendFile(ID), FLUSH_STATUS.OK);
  assert.equal(statSync(join(mail.queue, 'incoming', ID)).mode & 0o777, 0o740);
  assert.equal(await client.sendFile('NOSUCH'), FLUSH_STATUS.OK);
});

test('a wake-up sends what nobody has asked for in a long time, and removes old logs', async (t) => {
  const { mail, client } = await startFlush(t);
  writeDeferred(mail);
  await client.add('slow.test', ID);
  await client.add('new.sub.test', 'BEEFBEEF');
  await client.add('old.sub.test', 'BEEFBEEF');
  await client.sendSite('old.sub.test');
  const path = (name: string) => join(mail.queue, 'flush', name);
  const days = (count: number) => Date.now() / 1000 - count * 86_400;
  utimesSync(path('slow_test'), days(1), days(1));
  utimesSync(path('old_sub_test'), days(8), days(8));
  const connection = await IpcConnection.connect(join(mail.queue, 'public/flush'), PATIENCE_MS);
  atEnd(t, () => connection.close());
  await expectProtocol(connection, 'queue_flush_protocol');
  await connection.send(Buffer.from('W\0'));
  assert.deepEqual(await connection.receive({ status: int }), { status: FLUSH_STATUS.OK });
  await eventually('the message in incoming', () => mail.ids('incoming').includes(ID));
  await eventually('the old log to go', () => !existsSync(path('old_sub_test')));
  assert.ok(statSync(path('new_sub_test')).size > 0);
});

test('purge sends everything that is noted', async (t) => {
  const { mail, client } = await startFlush(t);
  writeDeferred(mail);
  await client.add('slow.test', ID);
  assert.equal(await client.purge(), FLUSH_STATUS.OK);
  await eventually('the message in incoming', () => mail.ids('incoming').includes(ID));
});

test('an unknown request gets no answer', async (t) => {
  const { mail } = await startFlush(t);
  const connection = await IpcConnection.connect(join(mail.queue, 'public/flush'), PATIENCE_MS);
  atEnd(t, () => connection.close());
  await expectProtocol(connection, 'queue_flush_protocol');
  await connection.send([['request', 'bogus']]);
  assert.equal(await connection.receive({ status: int }), undefined);
});
