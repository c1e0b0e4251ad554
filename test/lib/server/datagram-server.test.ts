import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sendDatagram } from '../../../lib/os/sockets.ts';
import { eventually } from '../../support/condition.ts';
import { scriptedMaster } from '../../support/scripted-master.ts';

const PROGRAM = 'test/support/daemons/datagram.cjs';
const SOCKET = 'public/datagram';

test('datagrams are received one by one, and the rest of a long one is cut off', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET, type: 'unix-dgram' });
  for (const text of ['one', 'two', 'x'.repeat(5000)]) {
    sendDatagram(master.path(SOCKET), Buffer.from(text));
  }
  await master.waitForLog(/received 3 bytes: one[\s\S]*received 3 bytes: two/);
  await master.waitForLog(/received 4096 bytes: x+/);
  await eventually('the last report', () => daemon.reports.at(-1) === 1);
  daemon.disconnect();
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
});
