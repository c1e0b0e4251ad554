/** Whatever bytes a client sends, a daemon lives on, and serves the next one. */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { AgentConnection } from '../../../lib/clients/delivery.ts';
import { formatRequest } from '../../../lib/delivery/request.ts';
import { IpcConnection } from '../../../lib/ipc/connection.ts';
import { str } from '../../../lib/ipc/fields.ts';
import { PATIENCE_MS } from '../../support/condition.ts';
import { writeMessage } from '../../support/queue-message.ts';
import { type DaemonSetting, scriptedMaster } from '../../support/scripted-master.ts';
import { sampleRequest } from '../delivery/sample-request.ts';

const RUNS = 150;
const valid = formatRequest(sampleRequest);

/** Noise, and real requests with some bytes changed, cut off or doubled. */
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }).map(Buffer.from),
  fc.tuple(fc.nat(valid.length), fc.nat(255)).map(([at, byte]) => {
    const changed = Buffer.from(valid);
    changed[at] = byte;
    return changed;
  }),
  fc.nat(valid.length).map((end) => valid.subarray(0, end)),
  fc.nat(valid.length).map((from) => Buffer.concat([valid.subarray(from), valid])),
);

/** Sends bytes and closes, at once or after the daemon has closed. */
function pester(path: string, noise: Buffer, patient: boolean): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('error', () => {});
    socket.once('close', () => resolve());
    socket.resume();
    if (patient) socket.end(noise);
    else socket.write(noise, () => socket.destroy());
  });
}

async function survives(
  t: TestContext,
  setting: DaemonSetting,
  serves: (path: string, queue: (name: string) => string) => Promise<void>,
): Promise<void> {
  const master = scriptedMaster(t, { max_use: '100000' });
  const daemon = master.start({ slots: 5, ...setting });
  const path = master.path('private/x');
  await fc.assert(
    fc.asyncProperty(bytes, fc.boolean(), (noise, patient) =>
      pester(path, Buffer.from(noise), patient),
    ),
    { numRuns: RUNS },
  );
  await serves(path, master.path);
  assert.equal(daemon.errors(), '');
  assert.doesNotMatch(master.log(), /panic|fatal|error:/);
}

test('a delivery agent', (t) =>
  survives(
    t,
    { program: 'test/support/daemons/agent.cjs', listen: 'private/x' },
    async (path, queue) => {
      const message = writeMessage(queue('active/9E3B3220164'), ['sent@a.example']);
      const agent = await AgentConnection.connect(path, PATIENCE_MS);
      const reply = await agent.deliver({ ...sampleRequest, recipients: message.recipients });
      assert.equal(reply?.status, 0);
      agent.close();
    },
  ));

test('a multi server', (t) =>
  survives(t, { program: 'test/support/daemons/multi.cjs', listen: 'private/x' }, async (path) => {
    const connection = await IpcConnection.connect(path, PATIENCE_MS);
    assert.equal((await connection.receive({ protocol: str }))?.protocol !== undefined, true);
    await connection.send([
      ['request', 'alive'],
      ['turns', 0],
    ]);
    assert.deepEqual(await connection.receive({ answer: str }), { answer: 'ALIVE' });
    connection.abort();
  }));
