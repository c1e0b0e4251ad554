/** Appends at the same time, over connections that our clients keep. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { BounceClient } from '../../../lib/clients/bounce.ts';
import { NO_DETAIL } from '../../../lib/dsn/detail.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { scriptedMaster } from '../../support/scripted-master.ts';

const APPENDS = 60;
const SLOTS = 20;
const QUEUE_ID = '4F2B81A03C';

function startDefer(t: TestContext) {
  const master = scriptedMaster(t, { hash_queue_names: 'none' });
  for (const queue of ['bounce', 'defer', 'trace'])
    mkdirSync(master.path(queue), { recursive: true });
  const daemon = master.start({
    program: 'libexec/bounce.cjs',
    listen: 'private/defer',
    args: ['-n', 'defer', '-z'],
    slots: SLOTS,
  });
  const directory = process.cwd();
  process.chdir(master.queue);
  atEnd(t, () => process.chdir(directory));
  const client = new BounceClient();
  atEnd(t, () => client.close());
  const append = (number: number, queueId = QUEUE_ID) =>
    client.append(
      'defer',
      queueId,
      0,
      { original: '', address: `r${number}@x.test`, offset: -1, dsnOriginal: '', notify: 0 },
      { ...NO_DETAIL, status: '4.0.0', action: 'delayed', reason: 'later' },
    );
  return { master, daemon, append };
}

const ENTRY = /^<r\d+@x\.test>: later\nrecipient=.*\nstatus=4\.0\.0\naction=delayed\nreason=later$/;

test('appends of one message at the same time are all there, each whole', async (t) => {
  const { master, append } = startDefer(t);
  const done = await Promise.all(Array.from({ length: APPENDS }, (_, index) => append(index)));
  assert.ok(done.every(Boolean));
  const entries = readFileSync(master.path(`defer/${QUEUE_ID}`), 'utf8').split('\n\n\n');
  assert.equal(entries.length, APPENDS);
  for (const entry of entries) assert.match(entry.trim(), ENTRY);
  const recipients = entries.map((entry) => /recipient=(\S+)/.exec(entry)?.[1]);
  assert.equal(new Set(recipients).size, APPENDS);
});

test('an append that was answered survives the death of the daemon', async (t) => {
  const { master, daemon, append } = startDefer(t);
  assert.ok(await append(1));
  daemon.kill('SIGKILL');
  await daemon.ended;
  assert.match(readFileSync(master.path(`defer/${QUEUE_ID}`), 'utf8').trim(), ENTRY);
});

test('an append that can not be written fails, and says why', async (t) => {
  const { master, append } = startDefer(t);
  assert.equal(await append(1, '..'), false);
  await master.waitForLog(/warning: malformed queue id: \.\./);
  mkdirSync(master.path('defer/AAAAAA'));
  assert.equal(await append(1, 'AAAAAA'), false);
  await master.waitForLog(/warning: AAAAAA: append request: .*AAAAAA/);
});

test('told to leave, it closes connections that only wait', async (t) => {
  const { daemon, append } = startDefer(t);
  assert.ok(await append(1));
  daemon.disconnect();
  const { code } = await daemon.ended;
  assert.equal(code, 0);
  await eventually('every slot is free', () => daemon.reports.at(-1) === SLOTS);
});
