import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { TriggerClient, trigger } from '../../../lib/clients/trigger.ts';
import { IpcConnection } from '../../../lib/ipc/connection.ts';
import { int } from '../../../lib/ipc/fields.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually, PATIENCE_MS } from '../../support/condition.ts';
import { scriptedMaster } from '../../support/scripted-master.ts';

const PROGRAM = 'test/support/daemons/trigger.cjs';
const SOCKET = 'public/trigger';

test('a trigger wakes it up: taken, then available', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  assert.equal(await trigger(master.path(SOCKET), 'FADI', 10), true);
  await master.waitForLog(/woken by "FADI\\u0000"/);
  await eventually('the reports', () => daemon.reports.length === 2);
  assert.deepEqual(daemon.reports, [0, 1]);
});

test('so does a client that closes without a word', async (t) => {
  const master = scriptedMaster(t);
  master.start({ program: PROGRAM, listen: SOCKET });
  connect(master.path(SOCKET)).end();
  await master.waitForLog(/woken by ""/);
});

test('a client that asks for something else is served', async (t) => {
  const master = scriptedMaster(t);
  master.start({ program: PROGRAM, listen: SOCKET });
  const connection = await IpcConnection.connect(master.path(SOCKET), PATIENCE_MS);
  await connection.send([['submit', 'seven..']]);
  assert.deepEqual(await connection.receive({ status: int }), { status: 7 });
  connection.abort();
  assert.doesNotMatch(master.log(), /woken/);
});

test('a client of ours that triggers again and again uses one connection', async (t) => {
  const master = scriptedMaster(t, { max_use: '2' });
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  const client = new TriggerClient(master.path(SOCKET), 10);
  atEnd(t, () => client.close());
  for (const letter of 'abcdefgh') {
    client.trigger(letter);
    await master.waitForLog(new RegExp(`woken by .*${letter}`));
  }
  // Not so many that it would have left: eight triggers were one client.
  daemon.kill('SIGTERM');
  assert.deepEqual(await daemon.ended, { code: null, signal: 'SIGTERM' });
});

test('it finds the next process when the one it knew has left', async (t) => {
  const master = scriptedMaster(t);
  const first = master.start({ program: PROGRAM, listen: SOCKET });
  const client = new TriggerClient(master.path(SOCKET), 10);
  atEnd(t, () => client.close());
  client.trigger('a');
  await master.waitForLog(/woken by "a/);
  first.disconnect();
  assert.deepEqual(await first.ended, { code: 0, signal: null });
  master.start({ program: PROGRAM, listen: SOCKET });
  client.trigger('b');
  await master.waitForLog(/woken by "b/);
});

test('a fifo', async (t) => {
  const master = scriptedMaster(t);
  master.start({ program: PROGRAM, listen: SOCKET, type: 'fifo' });
  assert.equal(await trigger(master.path(SOCKET), 'W', 10), true);
  await master.waitForLog(/woken by "W"/);
  const fd = openSync(master.path(SOCKET), 'w');
  writeSync(fd, 'I');
  closeSync(fd);
  await master.waitForLog(/woken by "I"/);
});

test('nobody there: trigger says so, and nobody waits', async (t) => {
  const master = scriptedMaster(t);
  assert.equal(await trigger(master.path('public/nobody'), 'W', 10), false);
});
