import assert from 'node:assert/strict';
import { test } from 'node:test';
import { monotonic } from '../../../lib/clock/clock.ts';
import { eventually } from '../../support/condition.ts';
import { makeMessage } from './queue-file-maker.ts';
import { newQueueManager } from './queue-manager.ts';
import { type Behaviour, serveAgent, serveRewrite } from './scripted-services.ts';

const SENT: Behaviour = { kind: 'sent' };

/** Addresses at so many domains. */
function addresses(count: number, domains = 1): string[] {
  return Array.from({ length: count }, (_, index) => `u${index}@d${index % domains}.test`);
}

/** An agent's behaviour that a test opens like a sluice. */
function sluice() {
  let open: (behaviour: Behaviour) => void = () => {};
  const until = new Promise<Behaviour>((resolve) => {
    open = resolve;
  });
  return { behaviour: { kind: 'wait', until } as const, open: () => open(SENT) };
}

for (const [what, main, most] of [
  ['initial_destination_concurrency', { initial_destination_concurrency: '3' }, 3],
  ['probe_destination_concurrency_limit', { probe_destination_concurrency_limit: '2' }, 2],
  ['probe_destination_rate_delay', { probe_destination_rate_delay: '1s' }, 1],
] as const) {
  test(`${what} bounds the deliveries to a destination`, async (t) => {
    const manager = newQueueManager(t, { probe_destination_recipient_limit: '2', ...main });
    const { directory } = manager;
    serveRewrite(t, directory, () => ({ transport: 'probe' }));
    const gate = sluice();
    const agent = serveAgent(t, directory, 'probe', () => gate.behaviour);
    const id = await makeMessage(directory, {
      recipients: addresses(what.includes('delay') ? 4 : 20),
    });
    await manager.start();
    await eventually('a full window', () => agent.load.now === most);
    // Whatever else would begin has had its chance when another transport has done its work.
    const other = await makeMessage(directory, { recipients: ['x@x.test'] });
    await manager.trigger('I');
    await eventually('the other', () => agent.requests.some(({ queueId }) => queueId === other));
    assert.ok(agent.load.most <= most + 1);
    gate.open();
    await manager.waitUntilGone(id);
  });
}

test('recipients of a destination go together, as many as the limit says', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const agent = serveAgent(t, directory, 'probe', () => SENT);
  const id = await makeMessage(directory, { recipients: addresses(240, 2) });
  await manager.start();
  await manager.waitUntilGone(id);
  const sizes = agent.requests.map(({ recipients }) => recipients.length).sort((a, b) => b - a);
  assert.deepEqual(sizes, [50, 50, 50, 50, 20, 20]);
});

test('an agent that takes one recipient has a line for each, extensions aside', async (t) => {
  const manager = newQueueManager(t, {
    probe_destination_recipient_limit: '1',
    probe_destination_concurrency_limit: '1',
    recipient_delimiter: '+',
  });
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe', nexthop: 'mx.lab.test' }));
  const gate = sluice();
  const agent = serveAgent(t, directory, 'probe', () => gate.behaviour);
  const recipients = ['ann@a.test', 'bob@a.test', 'ann+x@a.test', 'cat@a.test'];
  const id = await makeMessage(directory, { recipients });
  await manager.start();
  await eventually('three deliveries', () => agent.load.now === 3);
  assert.deepEqual(agent.requests.map(({ recipients: [one] }) => one?.address).sort(), [
    'ann@a.test',
    'bob@a.test',
    'cat@a.test',
  ]);
  gate.open();
  await manager.waitUntilGone(id);
  assert.equal(agent.requests.length, 4);
});

for (const domains of [1, 200]) {
  test(`a small message does not wait for a large one with ${domains} destinations`, async (t) => {
    const manager = newQueueManager(t, { probe_destination_recipient_limit: '2' });
    const { directory } = manager;
    const asked = serveRewrite(t, directory, () => ({ transport: 'probe' }));
    const gate = sluice();
    const agent = serveAgent(t, directory, 'probe', () => gate.behaviour, { slots: 2 });
    const large = await makeMessage(directory, { recipients: addresses(400, domains) });
    await manager.start();
    await eventually('busy agents', () => agent.load.now === 2);
    const small = await makeMessage(directory, { recipients: ['small@d0.test'] });
    await manager.trigger('I');
    await eventually('its recipient', () => asked.includes('small@d0.test'));
    gate.open();
    await manager.waitUntilGone(small);
    await manager.waitUntilGone(large);
    const log = manager.log();
    assert.ok(log.indexOf(`${small}: removed`) < log.indexOf(`${large}: removed`));
    const before = agent.requests.findIndex(({ queueId }) => queueId === small);
    assert.ok(before < 30, `${before} deliveries went before`);
  });
}

test('a message with many recipients is read in batches, and each gets it once', async (t) => {
  const manager = newQueueManager(t, {
    qmgr_message_recipient_limit: '500',
    default_recipient_limit: '500',
    default_recipient_refill_limit: '50',
  });
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const agent = serveAgent(t, directory, 'probe', () => SENT, { keeps: true, slots: 5 });
  const recipients = addresses(10_000, 3);
  const id = await makeMessage(directory, { recipients });
  await manager.start();
  await manager.waitUntilGone(id);
  const seen = agent.requests.flatMap((request) =>
    request.recipients.map(({ address }) => address),
  );
  assert.equal(seen.length, recipients.length);
  assert.equal(new Set(seen).size, recipients.length);
});

test('a few recipients that wait do not hold up those not read yet', async (t) => {
  const manager = newQueueManager(t, { qmgr_message_recipient_limit: '200' });
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const gate = sluice();
  const agent = serveAgent(t, directory, 'probe', ({ nexthop }) =>
    nexthop === 'slow.test' ? gate.behaviour : SENT,
  );
  const recipients = ['one@slow.test', ...addresses(1000)];
  const id = await makeMessage(directory, { recipients });
  await manager.start();
  await eventually('all others', () => {
    const done = agent.requests.filter(({ nexthop }) => nexthop !== 'slow.test');
    return done.reduce((sum, request) => sum + request.recipients.length, 0) === 1000;
  });
  gate.open();
  await manager.waitUntilGone(id);
});

for (const [what, main, most, count] of [
  ['qmgr_message_recipient_limit', { default_recipient_limit: '0' }, 1000, 5000],
  ['default_recipient_limit', { default_recipient_limit: '3000' }, 3000, 100_000],
  ['TRANSPORT_recipient_limit', { probe_recipient_limit: '2000' }, 2000, 10_000],
] as const) {
  test(`${what} bounds the recipients of a message of ${count} in memory`, async (t) => {
    const manager = newQueueManager(t, { qmgr_message_recipient_limit: '1000', ...main });
    const { directory } = manager;
    const asked = serveRewrite(t, directory, () => ({ transport: 'probe', nexthop: 'mx.test' }));
    const gate = sluice();
    let done = 0;
    let inMemory = 0;
    const agent = serveAgent(t, directory, 'probe', ({ recipients }) => {
      inMemory = Math.max(inMemory, asked.length - done);
      done += recipients.length;
      return gate.behaviour;
    });
    const recipients = addresses(count);
    const id = await makeMessage(directory, { recipients });
    await manager.start();
    await eventually('full memory', () => asked.length >= most);
    gate.open();
    await manager.waitUntilGone(id);
    const seen = agent.requests.flatMap((request) =>
      request.recipients.map(({ address }) => address),
    );
    assert.equal(new Set(seen).size, recipients.length);
    assert.equal(seen.length, recipients.length);
    // Its own minimum comes on top of what its transport has for it, and one delivery's are told late.
    assert.ok(inMemory <= most + 10 + 50 * 21, `${inMemory} recipients in memory`);
  });
}

test('a message of one recipient overtakes one of 20000 on a slow transport', async (t) => {
  const manager = newQueueManager(t, { probe_destination_recipient_limit: '1' });
  const { directory } = manager;
  const asked = serveRewrite(t, directory, () => ({ transport: 'probe', nexthop: 'mx.test' }));
  const gate = sluice();
  // Two at a time, and nothing moves until the small one is there.
  const behave = () => (agent.requests.length > 10 ? gate.behaviour : SENT);
  const agent = serveAgent(t, directory, 'probe', behave, { slots: 2 });
  const large = await makeMessage(directory, { recipients: addresses(20_000) });
  await manager.start();
  await eventually('deliveries', () => agent.load.now === 2);
  const small = await makeMessage(directory, { recipients: ['small@d0.test'] });
  await manager.trigger('I');
  await eventually('its recipient', () => asked.includes('small@d0.test'));
  gate.open();
  await manager.waitUntilGone(small);
  const before = agent.requests.findIndex(({ queueId }) => queueId === small);
  assert.ok(before < 200, `${before} deliveries went before`);
  assert.doesNotMatch(manager.log(), new RegExp(`${large}: removed.*${small}: removed`, 's'));
});

test('recipients are read a few at a time when a slow one keeps many from being read', async (t) => {
  const manager = newQueueManager(t, {
    qmgr_message_recipient_limit: '20',
    default_recipient_limit: '20',
    default_recipient_refill_limit: '1000',
    default_recipient_refill_delay: '1s',
  });
  const { directory } = manager;
  const asked = serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const gate = sluice();
  let done = 0;
  let inMemory = 0;
  const agent = serveAgent(t, directory, 'probe', ({ nexthop, recipients }) => {
    inMemory = Math.max(inMemory, asked.length - done);
    if (nexthop === 'slow.test') return gate.behaviour;
    done += recipients.length;
    return SENT;
  });
  const id = await makeMessage(directory, { recipients: ['one@slow.test', ...addresses(60)] });
  await manager.start();
  await eventually('all others', () => {
    const done = agent.requests.filter(({ nexthop }) => nexthop !== 'slow.test');
    return done.reduce((sum, request) => sum + request.recipients.length, 0) === 60;
  });
  // Its own minimum comes on top.
  assert.ok(inMemory <= 20 + 10, `${inMemory} recipients in memory`);
  gate.open();
  await manager.waitUntilGone(id);
});

test('recipients that are read later go along with those that wait', async (t) => {
  const manager = newQueueManager(t, {
    qmgr_message_recipient_limit: '70',
    initial_destination_concurrency: '1',
  });
  const { directory } = manager;
  const asked = serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const gate = sluice();
  const agent = serveAgent(t, directory, 'probe', () => gate.behaviour);
  const id = await makeMessage(directory, { recipients: addresses(200) });
  await manager.start();
  await eventually('all in memory', () => asked.length === 200 && agent.load.now === 1);
  gate.open();
  await manager.waitUntilGone(id);
  const sizes = agent.requests.map(({ recipients }) => recipients.length);
  assert.deepEqual(sizes, [50, 50, 50, 50]);
});

test('the active queue is bounded', async (t) => {
  const manager = newQueueManager(t, { qmgr_message_active_limit: '10' });
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const gate = sluice();
  const agent = serveAgent(t, directory, 'probe', () => gate.behaviour, { slots: 3 });
  for (let n = 0; n < 40; n += 1) await makeMessage(directory, { recipients: [`u${n}@a.test`] });
  await manager.start();
  await eventually('a full active queue', () => manager.ids('active').length === 10);
  assert.equal(manager.ids('incoming').length, 30);
  gate.open();
  await eventually('an empty queue', () => manager.log().split(': removed').length === 41);
  assert.equal(agent.requests.length, 40);
  assert.ok(agent.load.most <= 3);
});

test('connections to agents that stay are used again', async (t) => {
  const manager = newQueueManager(t);
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  const agent = serveAgent(t, directory, 'probe', () => SENT, { keeps: true, slots: 2 });
  for (let n = 0; n < 60; n += 1)
    await makeMessage(directory, { recipients: [`u${n}@d${n}.test`] });
  await manager.start();
  await eventually('an empty queue', () => manager.log().split(': removed').length === 61);
  assert.equal(agent.requests.length, 60);
  assert.ok(agent.connections <= 6, `${agent.connections} connections`);
});

test('each message that comes in gives cleanup a token', async (t) => {
  const manager = newQueueManager(t, { default_process_limit: '7' });
  const { directory } = manager;
  serveRewrite(t, directory, () => ({ transport: 'probe' }));
  serveAgent(t, directory, 'probe', () => SENT);
  const startedAt = monotonic();
  await manager.start();
  await eventually('the tokens of an idle system', () => manager.tokens() === 7);
  for (let n = 0; n < 3; n += 1) await makeMessage(directory, { recipients: [`u${n}@a.test`] });
  await manager.trigger('I');
  await eventually('an empty queue', () => manager.log().split(': removed').length === 4);
  const tokens = manager.tokens();
  // After ten seconds it counts anew.
  if (monotonic() - startedAt < 10_000) assert.equal(tokens, 3);
});
