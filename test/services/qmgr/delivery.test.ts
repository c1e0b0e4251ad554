import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { eventually } from '../../support/condition.ts';
import { makeMessage } from './queue-file-maker.ts';
import { newQueueManager } from './queue-manager.ts';
import { serveAgent, serveBounce, serveRewrite } from './scripted-services.ts';

test('a message is resolved, delivered and removed', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const agent = serveAgent(t, directory, 'probe', () => ({ kind: 'sent' }));
  const id = await makeMessage(directory, {
    recipients: ['ann@a.test', 'bob@a.test', 'cat@c.test'],
    attributes: {
      log_client_name: 'client.test',
      envelope_id: 'Q1',
      ret_flags: '2',
      encoding: '8bit',
    },
  });
  await manager.start();
  await manager.waitUntilGone(id);
  await manager.waitForLog(
    new RegExp(
      `qmgr\\[\\d+\\]: ${id}: from=<sender@client\\.test>, size=\\d+, nrcpt=3 \\(queue active\\)`,
    ),
  );
  assert.equal(agent.requests.length, 2);
  const first = agent.requests.find(({ nexthop }) => nexthop === 'a.test');
  assert.deepEqual(
    first?.recipients.map(({ address }) => address),
    ['ann@a.test', 'bob@a.test'],
  );
  assert.equal(first?.flags, 3);
  assert.equal(first?.all.get('log_client_name'), 'client.test');
  assert.equal(first?.all.get('envelope_id'), 'Q1');
  assert.equal(first?.all.get('ret_flags'), '2');
  assert.equal(first?.all.get('encoding'), '8bit');
  assert.equal(first?.all.get('rewrite_context'), 'local');
  assert.deepEqual(manager.ids('active').concat(manager.ids('incoming')), []);
});

test('a deferred message waits, with its reasons, until it is due', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  let kind: 'deferred' | 'sent' = 'deferred';
  const agent = serveAgent(t, directory, 'probe', ({ recipients }) =>
    recipients[0]?.address === 'bob@b.test' ? { kind } : { kind: 'sent' },
  );
  const made = Date.now();
  const id = await makeMessage(directory, { recipients: ['ann@a.test', 'bob@b.test'], age: 1000 });
  await manager.start();
  const path = await manager.waitForQueue('deferred', id);
  // As long again as it is old by now.
  const delay = (statSync(path).mtimeMs - made) / 1000;
  const passed = (Date.now() - made) / 1000;
  assert.ok(delay > 999 && delay < 1001 + 2 * passed, `delay ${delay}`);
  assert.deepEqual(manager.ids('defer'), [id]);
  kind = 'sent';
  // Not due: a scan leaves it alone. Asked to ignore times, it takes it; the reasons are forgotten.
  await manager.trigger('D');
  await manager.trigger('AD');
  await manager.waitUntilGone(id);
  assert.deepEqual(manager.ids('defer'), []);
  assert.deepEqual(
    agent.requests.map(({ recipients }) => recipients.map(({ address }) => address)).sort(),
    [['ann@a.test'], ['bob@b.test'], ['bob@b.test']],
  );
});

test('failed recipients are returned to the sender', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  serveAgent(t, directory, 'probe', () => ({ kind: 'bounced' }));
  const notices = serveBounce(t, directory);
  const id = await makeMessage(directory, { recipients: ['ann@a.test'] });
  await manager.start();
  await manager.waitUntilGone(id);
  assert.deepEqual(
    notices.map(({ service, nrequest, flags, queue_name, sender }) => [
      service,
      nrequest,
      flags,
      queue_name,
      sender,
    ]),
    [['bounce', '1', '0', 'active', 'sender@client.test']],
  );
});

test('a notice that fails is tried again later', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  serveAgent(t, directory, 'probe', () => ({ kind: 'bounced' }));
  let answer = -1;
  const notices = serveBounce(t, directory, () => answer);
  const id = await makeMessage(directory, { recipients: ['ann@a.test'] });
  await manager.start();
  await manager.waitForQueue('deferred', id);
  assert.deepEqual(manager.ids('bounce'), [id]);
  answer = 0;
  await manager.trigger('AD');
  await manager.waitUntilGone(id);
  assert.equal(notices.length, 2);
});

const OLD = 6 * 86400;

for (const [what, options, expected] of [
  ['older than maximal_queue_lifetime', { age: OLD }, 'expired'],
  ['force-expired', { age: 10, mode: 0o710 }, 'force-expired'],
] as const) {
  test(`a message that is ${what} goes back to its sender after an attempt`, async (t) => {
    const manager = newQueueManager(t);
    const { directory } = manager;
    serveRewrite(t, directory, () => ({ transport: 'probe' }));
    serveAgent(t, directory, 'probe', () => ({ kind: 'deferred' }));
    const retry = serveAgent(t, directory, 'retry', () => ({ kind: 'deferred' }));
    const notices = serveBounce(t, directory);
    const id = await makeMessage(directory, { recipients: ['ann@a.test'], ...options });
    await manager.start();
    await manager.waitUntilGone(id);
    await manager.waitForLog(
      new RegExp(`${id}: from=<sender@client\\.test>, status=${expected}, returned to sender`),
    );
    assert.deepEqual(
      notices.map(({ service, nrequest, flags }) => [service, nrequest, flags]),
      [['defer', '1', '2']],
    );
    const reasons = expected === 'expired' ? [] : ['4.7.0 message is administratively expired'];
    assert.deepEqual(
      retry.requests.map(({ nexthop }) => nexthop),
      reasons,
    );
  });
}

test('a sender hears of a delay once', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const agent = serveAgent(t, directory, 'probe', () => ({ kind: 'deferred' }));
  const notices = serveBounce(t, directory);
  const id = await makeMessage(directory, { recipients: ['ann@a.test'], warnIn: -5 });
  await manager.start();
  const path = await manager.waitForQueue('deferred', id);
  assert.deepEqual(
    notices.map(({ service, nrequest }) => [service, nrequest]),
    [['defer', '2']],
  );
  assert.match(readFileSync(path, 'latin1'), /W\x0f {13}-1/);
  await manager.trigger('AD');
  await eventually('the second attempt', () => agent.requests.length === 2);
  await manager.waitForQueue('deferred', id);
  assert.equal(notices.length, 1);
});

for (const [what, message, flags] of [
  ['sendmail -v', { attributes: { trace_flags: '1024' }, recipients: ['a@a.test'] }, '1024'],
  ['NOTIFY=SUCCESS', { recipients: [{ address: 'a@a.test', notify: 2 }] }, '0'],
] as const) {
  test(`a report is sent for ${what}`, async (t) => {
    const manager = newQueueManager(t);
    const { directory } = manager;
    serveRewrite(t, directory, () => ({ transport: 'probe' }));
    serveAgent(t, directory, 'probe', () => ({ kind: 'sent' }));
    const notices = serveBounce(t, directory);
    const id = await makeMessage(directory, message);
    await manager.start();
    await manager.waitUntilGone(id);
    assert.deepEqual(
      notices.map(({ service, nrequest, flags }) => [service, nrequest, flags]),
      [['trace', '5', flags]],
    );
  });
}

test('a report for sendmail -v is sent once, however often delivery is tried', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  let tries = 0;
  serveAgent(t, directory, 'probe', () => ({ kind: tries++ === 0 ? 'deferred' : 'sent' }));
  const notices = serveBounce(t, directory);
  const id = await makeMessage(directory, {
    recipients: ['a@a.test'],
    attributes: { trace_flags: '1024' },
  });
  await manager.start();
  await manager.waitForQueue('deferred', id);
  await manager.trigger('AD');
  await manager.waitUntilGone(id);
  assert.equal(notices.length, 1);
});

test('VERP gives each recipient a sender of its own', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const agent = serveAgent(t, directory, 'probe', () => ({ kind: 'bounced' }));
  const notices = serveBounce(t, directory);
  const id = await makeMessage(directory, {
    recipients: ['ann@a.test', 'bob@a.test'],
    sender: 'list@l.test',
    records: [['V', '+=']],
  });
  await manager.start();
  await manager.waitUntilGone(id);
  assert.deepEqual(agent.requests.map(({ sender }) => sender).sort(), [
    'list+ann=a.test@l.test',
    'list+bob=a.test@l.test',
  ]);
  assert.deepEqual(
    notices.map(({ nrequest, verp_delimiters, sender }) => [nrequest, verp_delimiters, sender]),
    [['3', '+=', 'list@l.test']],
  );
});

for (const [what, extra, expected] of [
  [
    'content filter',
    { extracted: [['L', 'filter:[127.0.0.1]:10025']] },
    { name: 'filter', nexthop: '[127.0.0.1]:10025', to: ['ann@a.test', 'bob@b.test'] },
  ],
  [
    'filter without nexthop',
    { extracted: [['L', 'filter:']] },
    { name: 'filter', nexthop: 'a.test', to: ['ann@a.test'] },
  ],
  [
    'redirect',
    { extracted: [['>', 'other@o.test']] },
    { name: 'probe', nexthop: 'o.test', to: ['other@o.test'] },
  ],
] as const) {
  test(`a ${what} in the queue file is obeyed`, async (t) => {
    const manager = newQueueManager(t);
    const { directory } = manager;
    serveRewrite(t, directory, () => ({ transport: 'probe' }));
    const agents = {
      probe: serveAgent(t, directory, 'probe', () => ({ kind: 'sent' })),
      filter: serveAgent(t, directory, 'filter', () => ({ kind: 'sent' })),
    };
    const id = await makeMessage(directory, { recipients: ['ann@a.test', 'bob@b.test'], ...extra });
    await manager.start();
    await manager.waitUntilGone(id);
    const request = agents[expected.name].requests.find(
      ({ nexthop }) => nexthop === expected.nexthop,
    );
    assert.deepEqual(
      request?.recipients.map(({ address }) => address),
      expected.to,
    );
    assert.equal(request?.flags, 3);
  });
}

test('mail to the double bounce address is discarded', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'local', flags: 256 }));
  const id = await makeMessage(directory, {
    recipients: ['double-bounce@mx.lab.test'],
    sender: '',
  });
  await manager.start();
  await manager.waitUntilGone(id);
  await manager.waitForLog(
    /relay=none, .*dsn=2\.0\.0, status=sent \(undeliverable postmaster notification discarded\)/,
  );
});

for (const [what, flags, transport, reason] of [
  ['bad syntax', 4, 'error', '5.1.3 bad address syntax'],
  ['a failed lookup', 8, 'retry', '4.3.0 address resolver failure'],
] as const) {
  test(`${what} in an address goes to ${transport}`, async (t) => {
    const manager = newQueueManager(t);
    const { directory } = manager;
    serveRewrite(t, directory, () => ({ transport: 'CHANNEL NOT UPDATED', flags }));
    const agent = serveAgent(t, directory, transport, () => ({ kind: 'sent' }));
    const id = await makeMessage(directory, { recipients: ['a@b@c'] });
    await manager.start();
    await manager.waitUntilGone(id);
    assert.deepEqual(
      agent.requests.map(({ nexthop }) => nexthop),
      [reason],
    );
  });
}

test('defer_transports holds until somebody flushes the queue', async (t) => {
  const manager = newQueueManager(t, { defer_transports: 'uucp probe' });
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const agent = serveAgent(t, directory, 'probe', () => ({ kind: 'sent' }));
  const retry = serveAgent(t, directory, 'retry', () => ({ kind: 'deferred' }));
  const id = await makeMessage(directory, { recipients: ['a@a.test'] });
  await manager.start();
  await manager.waitForQueue('deferred', id);
  assert.deepEqual(
    retry.requests.map(({ nexthop }) => nexthop),
    ['4.3.2 deferred transport'],
  );
  await manager.trigger('AD');
  await eventually('the second attempt', () => retry.requests.length === 2);
  await manager.waitForQueue('deferred', id);
  await manager.trigger('FADI');
  await manager.waitUntilGone(id);
  assert.equal(agent.requests.length, 1);
});
