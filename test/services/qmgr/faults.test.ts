import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  linkSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { flock } from '../../../lib/os/locks.ts';
import { eventually } from '../../support/condition.ts';
import { makeMessage } from './queue-file-maker.ts';
import { newQueueManager } from './queue-manager.ts';
import { type Behaviour, serveAgent, serveBounce, serveRewrite } from './scripted-services.ts';

const SENT: Behaviour = { kind: 'sent' };

test('a message that an old agent still delivers is left alone for a minute', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const agent = serveAgent(t, directory, 'probe', () => SENT);
  const id = await makeMessage(directory, { recipients: ['a@a.test'] });
  const fd = openSync(join(directory, 'incoming', id), 'r+');
  assert.ok(flock(fd, 'shared'));
  const before = Date.now();
  await manager.start();
  await manager.waitForLog(new RegExp(`${id}: skipped, still being delivered`));
  const path = await manager.waitForQueue('incoming', id);
  const due = statSync(path).mtimeMs - 60_000;
  // Times of files are in whole seconds.
  assert.ok(due > before - 1000 && due <= Date.now() + 1000, `due a minute after ${due}`);
  assert.equal(agent.requests.length, 0);
  closeSync(fd);
  await manager.trigger('AI');
  await manager.waitUntilGone(id);
});

test('what was active when qmgr died is delivered by the next one', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  let deaths = 0;
  const agent = serveAgent(t, directory, 'probe', ({ nexthop }) =>
    nexthop === 'b.test' && deaths === 0 ? { kind: 'wait', until: new Promise(() => {}) } : SENT,
  );
  const id = await makeMessage(directory, { recipients: ['a@a.test', 'b@b.test'] });
  await manager.start();
  await eventually('both deliveries', () => agent.requests.length === 2);
  await eventually('the mark', () =>
    readFileSync(join(directory, 'active', id), 'latin1').includes('D\x08a@a.test'),
  );
  await manager.kill();
  deaths += 1;
  // The scripted agent died with its work undone: its lock is gone when its descriptor is.
  await manager.start();
  await manager.trigger('AI');
  await eventually(
    'another attempt or a busy file',
    () => manager.log().includes('skipped') || agent.requests.length === 3,
  );
  if (agent.requests.length === 3) await manager.waitUntilGone(id);
  assert.ok(agent.requests.slice(2).every(({ nexthop }) => nexthop === 'b.test'));
});

test('no message is lost however often qmgr is killed', async (t) => {
  const manager = newQueueManager(t, { minimal_backoff_time: '1s', maximal_backoff_time: '1s' });
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const delivered = new Map<string, number>();
  serveAgent(
    t,
    directory,
    'probe',
    ({ recipients }) => {
      for (const { address } of recipients)
        delivered.set(address, (delivered.get(address) ?? 0) + 1);
      return SENT;
    },
    { keeps: true, slots: 10 },
  );
  const expected: string[] = [];
  for (let n = 0; n < 300; n += 1) {
    const recipients = Array.from({ length: 1 + (n % 3) }, (_, k) => `u${n}-${k}@d${k}.test`);
    expected.push(...recipients);
    await makeMessage(directory, { recipients });
  }
  await manager.start();
  for (const share of [0.1, 0.3, 0.5, 0.7, 0.9]) {
    await eventually(`${share} of the deliveries`, () => delivered.size >= expected.length * share);
    await manager.kill();
    await manager.start();
  }
  await eventually('an empty queue', async () => {
    await manager.trigger('AID');
    const isEmpty = (queue: string) => manager.ids(queue).length === 0;
    // Twice the first two: one that comes back while we look may be in none of the places that we see.
    return ['incoming', 'active', 'deferred', 'incoming', 'active'].every(isEmpty);
  });
  assert.deepEqual([...delivered.keys()].sort(), expected.sort());
  const twice = [...delivered.values()].filter((count) => count > 1).length;
  // Only what was under way at a kill: two connections pending, ten deliveries.
  assert.ok(twice <= 5 * 12, `${twice} recipients got it twice`);
});

test('a damaged file is saved, and stops nobody else', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  serveAgent(t, directory, 'probe', () => SENT);
  const cut = await makeMessage(directory, { recipients: ['a@a.test'] });
  const path = join(directory, 'incoming', cut);
  truncateSync(path, statSync(path).size - 2);
  const empty = await makeMessage(directory, { recipients: [] });
  const good = await makeMessage(directory, { recipients: ['a@a.test'] });
  await manager.start();
  await manager.waitUntilGone(good);
  await manager.waitForQueue('corrupt', cut);
  await manager.waitForQueue('corrupt', empty);
  await manager.waitForLog(new RegExp(`warning: ${cut}: message rejected: missing end record`));
  await manager.waitForLog(
    new RegExp(`warning: saving corrupt file "${cut}" from queue "active" to queue "corrupt"`),
  );
});

test('a file whose name is taken is left alone, and stops nobody', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  serveAgent(t, directory, 'probe', () => SENT);
  const id = await makeMessage(directory, { recipients: ['a@a.test'] });
  copyFileSync(join(directory, 'incoming', id), join(directory, 'active', id));
  const twice = await makeMessage(directory, { recipients: ['a@a.test'] });
  linkSync(join(directory, 'incoming', twice), join(directory, 'active', twice));
  const good = await makeMessage(directory, { recipients: ['a@a.test'] });
  await manager.start();
  await manager.waitUntilGone(good);
  await manager.waitUntilGone(twice);
  await manager.waitForLog(new RegExp(`warning: incoming/${id}: file exists; run postsuper`));
  assert.deepEqual(manager.ids('incoming'), [id]);
  assert.deepEqual(manager.ids('active'), [id]);
});

test('a file whose content an agent could not read is saved', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  serveAgent(t, directory, 'probe', () => ({ kind: 'unreadable' }));
  const id = await makeMessage(directory, { recipients: ['a@a.test'] });
  await manager.start();
  await manager.waitForQueue('corrupt', id);
});

test('what is unfinished or not due stays where it is', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  serveAgent(t, directory, 'probe', () => SENT);
  const unfinished = await makeMessage(directory, { recipients: ['a@a.test'], mode: 0o600 });
  const later = await makeMessage(directory, { recipients: ['a@a.test'], due: 1000 });
  const now = await makeMessage(directory, { recipients: ['a@a.test'] });
  await manager.start();
  await manager.waitUntilGone(now);
  assert.deepEqual(manager.ids('incoming').sort(), [unfinished, later].sort());
  await manager.trigger('AI');
  await manager.waitUntilGone(later);
  chmodSync(join(directory, 'incoming', unfinished), 0o700);
  await manager.trigger('I');
  await manager.waitUntilGone(unfinished);
});

test('a file that says it is due in a year is due after the longest back-off', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const id = await makeMessage(directory, {
    recipients: ['a@a.test'],
    due: 365 * 86400,
    queue: 'incoming',
  });
  await manager.start();
  const path = join(directory, 'incoming', id);
  await eventually('another time', () => statSync(path).mtimeMs < Date.now() + 4_100_000);
});

for (const kind of ['garbage', 'close'] as const) {
  test(`an agent that answers ${kind} defers the message`, async (t) => {
    const manager = newQueueManager(t);
    const { directory } = manager;
    serveRewrite(t, directory, () => ({ transport: 'probe' }));
    serveAgent(t, directory, 'probe', () => ({ kind }));
    const id = await makeMessage(directory, { recipients: ['a@a.test'] });
    await manager.start();
    await manager.waitForQueue('deferred', id);
    await manager.waitForLog(/warning: private\/probe socket: malformed response/);
  });
}

test('a kept agent that has left is replaced, and the request sent again', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  let count = 0;
  const agent = serveAgent(
    t,
    directory,
    'probe',
    () => {
      count += 1;
      return count === 2 ? { kind: 'close' } : SENT;
    },
    { keeps: true, slots: 1 },
  );
  const first = await makeMessage(directory, { recipients: ['a@a.test'] });
  await manager.start();
  await manager.waitUntilGone(first);
  const second = await makeMessage(directory, { recipients: ['a@a.test'] });
  await manager.trigger('I');
  await manager.waitUntilGone(second);
  assert.equal(agent.requests.length, 3);
});

test('a transport that is not there defers its mail, by retry', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'nosuch' }));
  const retry = serveAgent(t, directory, 'retry', () => ({ kind: 'deferred' }));
  const id = await makeMessage(directory, { recipients: ['a@a.test', 'b@b.test'] });
  await manager.start();
  await manager.waitForQueue('deferred', id);
  await manager.waitForLog(
    /warning: connect to transport private\/nosuch: No such file or directory/,
  );
  const seen = retry.requests.flatMap(({ nexthop, recipients }) =>
    recipients.map(({ address }) => [nexthop, address]),
  );
  assert.deepEqual(seen.sort(), [
    ['4.3.0 mail transport unavailable', 'a@a.test'],
    ['4.3.0 mail transport unavailable', 'b@b.test'],
  ]);
});

test('without retry qmgr defers mail itself', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'nosuch' }));
  const notices = serveBounce(t, directory);
  const id = await makeMessage(directory, { recipients: ['a@a.test', 'b@b.test'] });
  await manager.start();
  await manager.waitForQueue('deferred', id);
  assert.deepEqual(
    notices.map(({ service, nrequest, status, reason }) => [service, nrequest, status, reason]),
    [
      ['defer', '0', '4.3.0', 'mail transport unavailable'],
      ['defer', '0', '4.3.0', 'mail transport unavailable'],
    ],
  );
  await manager.waitForLog(
    new RegExp(
      `${id}: to=<a@a\\.test>, relay=none, delay=[\\d.]+, delays=[\\d./]+, dsn=4\\.3\\.0, status=deferred \\(mail transport unavailable\\)`,
    ),
  );
});

test('mail for a destination in trouble waits until somebody flushes the queue', async (t) => {
  const manager = newQueueManager(t, {
    initial_destination_concurrency: '1',
    probe_destination_recipient_limit: '2',
  });
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  let well = false;
  const agent = serveAgent(t, directory, 'probe', () =>
    well ? SENT : { kind: 'site', status: '4.4.1', reason: 'connect to a.test: refused' },
  );
  const retry = serveAgent(t, directory, 'retry', () => ({ kind: 'deferred' }));
  const recipients = ['1@a.test', '2@a.test', '3@a.test', '4@a.test', '5@a.test'];
  const id = await makeMessage(directory, { recipients });
  await manager.start();
  await manager.waitForQueue('deferred', id);
  assert.equal(agent.requests.length, 1);
  const suspended = '4.4.1 delivery temporarily suspended: connect to a.test: refused';
  assert.deepEqual(
    retry.requests.map(({ nexthop, recipients: group }) => [nexthop, group.length]),
    [
      [suspended, 2],
      [suspended, 1],
    ],
  );
  well = true;
  await manager.trigger('FAD');
  await manager.waitUntilGone(id);
  const seen = agent.requests
    .slice(1)
    .flatMap((request) => request.recipients.map(({ address }) => address));
  assert.deepEqual(seen.sort(), recipients);
});

test('postqueue -i tries a dead destination again', async (t) => {
  const manager = newQueueManager(t, { initial_destination_concurrency: '1' });
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  let well = false;
  const agent = serveAgent(t, directory, 'probe', () =>
    well ? SENT : { kind: 'site', status: '4.4.1', reason: 'refused' },
  );
  serveAgent(t, directory, 'retry', () => ({ kind: 'deferred' }));
  const id = await makeMessage(directory, { recipients: ['1@a.test'] });
  await manager.start();
  const path = await manager.waitForQueue('deferred', id);
  well = true;
  await manager.trigger('AD');
  await eventually('a second look', () => manager.log().split('queue active').length === 3);
  await manager.waitForQueue('deferred', id);
  assert.equal(agent.requests.length, 1);
  chmodSync(path, 0o740);
  await manager.trigger('AD');
  await manager.waitUntilGone(id);
  assert.equal(agent.requests.length, 2);
});

test('qmgr leaves with master', async (t) => {
  const manager = newQueueManager(t);
  serveRewrite(t, manager.directory, () => ({ transport: 'probe' }));
  await manager.start();
  assert.equal(await manager.leave(), 0);
});
