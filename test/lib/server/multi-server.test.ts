import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IpcConnection } from '../../../lib/ipc/connection.ts';
import { str } from '../../../lib/ipc/fields.ts';
import { expectProtocol } from '../../../lib/ipc/greeting.ts';
import { PROTOCOLS } from '../../../lib/ipc/protocols.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually, PATIENCE_MS } from '../../support/condition.ts';
import { type ScriptedMaster, scriptedMaster } from '../../support/scripted-master.ts';

const PROGRAM = 'test/support/daemons/multi.cjs';
const SOCKET = 'private/multi';

async function connectTo(master: ScriptedMaster): Promise<IpcConnection> {
  const connection = await IpcConnection.connect(master.path(SOCKET), PATIENCE_MS);
  await expectProtocol(connection, PROTOCOLS.rewrite);
  return connection;
}

async function ask(connection: IpcConnection, request: string, turns = 0): Promise<unknown> {
  await connection.send([
    ['request', request],
    ['turns', turns],
  ]);
  return (await connection.receive({ answer: str }))?.answer;
}

test('many clients stay connected and are answered whenever they ask', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  const clients = await Promise.all(Array.from({ length: 20 }, () => connectTo(master)));
  atEnd(t, () => clients.map((client) => client.abort()));
  const slow = ask(clients[0] as IpcConnection, 'slow', 5000);
  for (const round of ['a', 'b']) {
    const answers = await Promise.all(clients.slice(1).map((client) => ask(client, round)));
    assert.deepEqual(new Set(answers), new Set([round.toUpperCase()]));
  }
  assert.equal(await slow, 'SLOW');
  // One report of each kind: it works at all. It is never full.
  await eventually('the reports', () => daemon.reports.length === 2);
  assert.deepEqual(daemon.reports, [0, 1]);
});

test('when master goes, a request is answered, idle clients are closed, and it leaves', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  const [busy, idle] = [await connectTo(master), await connectTo(master)];
  const answer = ask(busy, 'still here', 20_000);
  await ask(idle, 'x');
  daemon.disconnect();
  assert.equal(await idle.receive({ answer: str }), undefined);
  assert.equal(await answer, 'STILL HERE');
  assert.equal(await busy.receive({ answer: str }), undefined);
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
});

test('when master goes, who has only just come is answered first', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  const [newcomer, idle] = [await connectTo(master), await connectTo(master)];
  await ask(idle, 'x');
  daemon.disconnect();
  assert.equal(await idle.receive({ answer: str }), undefined);
  assert.equal(await ask(newcomer, 'me too'), 'ME TOO');
  assert.equal(await newcomer.receive({ answer: str }), undefined);
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
});

test('a client that breaks the protocol is closed, with a warning', async (t) => {
  const master = scriptedMaster(t);
  master.start({ program: PROGRAM, listen: SOCKET });
  const bad = await connectTo(master);
  const good = await connectTo(master);
  await bad.send([['bogus', '\x1b[2J']]);
  assert.equal(await bad.receive({ answer: str }), undefined);
  await master.waitForLog(
    /warning: unexpected attribute bogus from multi socket \(expecting: request\)/,
  );
  assert.equal(await ask(good, 'alive'), 'ALIVE');
  good.abort();
});

test('it leaves after max_use clients only when nobody is left', async (t) => {
  const master = scriptedMaster(t, { max_use: '2' });
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  const first = await connectTo(master);
  const second = await connectTo(master);
  assert.equal(await ask(first, 'one'), 'ONE');
  first.close();
  second.close();
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
});
