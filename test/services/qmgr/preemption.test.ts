import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { eventually } from '../../support/condition.ts';
import { type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import { makeMessage } from './queue-file-maker.ts';
import { newQueueManager } from './queue-manager.ts';
import { type Behaviour, serveAgent, serveRewrite } from './scripted-services.ts';

/** Parameters, the sizes of messages in their order, and the order of deliveries: 1 is the first. */
const ORDERS: [Record<string, string>, number[], string][] = [
  [{ default_delivery_slot_cost: '0' }, [4, 1, 1], '111123'],
  [{ default_delivery_slot_cost: '1' }, [4, 1, 1], '111123'],
  // SCHEDULER_README: without a loan, and with a discount.
  [
    {
      default_delivery_slot_cost: '2',
      default_delivery_slot_loan: '0',
      default_delivery_slot_discount: '0',
    },
    [10, 2, 2],
    '11112211113311',
  ],
  [
    {
      default_delivery_slot_cost: '2',
      default_delivery_slot_loan: '0',
      default_delivery_slot_discount: '50',
    },
    [10, 2, 2],
    '11221111331111',
  ],
  // Fifteen deliveries are what three slots cost: fewer are not preempted, however small the others.
  [{}, [14, 1, 1], `${'1'.repeat(14)}23`],
  [{}, [15, 1, 1], '1211111311111111'.padEnd(17, '1')],
  [
    { default_minimum_delivery_slots: '2' },
    [14, 1, 1],
    '12'.padEnd(7, '1').concat('3').padEnd(16, '1'),
  ],
  [
    { default_delivery_slot_cost: '0', probe_delivery_slot_cost: '5' },
    [15, 1],
    '12'.padEnd(16, '1'),
  ],
  [
    { probe_delivery_slot_loan: '0', probe_delivery_slot_discount: '0' },
    [20, 2],
    '1111111111221111111111',
  ],
  // One that preempts is preempted.
  [{ default_delivery_slot_cost: '2', default_delivery_slot_loan: '0' }, [60, 12, 2, 1, 7], ''],
  [{ default_delivery_slot_cost: '3' }, [90, 20, 30, 6, 1, 1, 2, 9], ''],
  [{}, [200, 30, 12, 1, 1, 40, 3], ''],
];

for (const [main, sizes, expected] of ORDERS) {
  const what = `${sizes} with ${JSON.stringify(main)}`;
  if (expected !== '') {
    test(`messages of ${what} are delivered in the order ${expected}`, async (t) => {
      assert.equal(await orderOf(t, 'ours', main, sizes), expected);
    });
  }
  test(`Postfix delivers messages of ${what} in the same order`, {
    skip: whyNoPostfix(),
  }, async (t) => {
    const real = await orderOf(t, 'real', main, sizes);
    assert.equal(await orderOf(t, 'ours', main, sizes), real);
  });
}

/** The order in which one agent gets messages that are all there before it is done with the first. */
async function orderOf(
  t: TestContext,
  maker: Maker,
  main: Record<string, string>,
  sizes: readonly number[],
): Promise<string> {
  const manager = newQueueManager(t, { probe_destination_recipient_limit: '1', ...main }, maker);
  const { directory } = manager;
  const asked = serveRewrite(t, directory, () => ({ transport: 'probe', nexthop: 'mx.test' }));
  let open = () => {};
  const until = new Promise<Behaviour>((resolve) => {
    open = () => resolve({ kind: 'sent' });
  });
  const agent = serveAgent(t, directory, 'probe', () => ({ kind: 'wait', until }), { slots: 1 });
  await manager.start();
  const ids: string[] = [];
  for (const size of sizes) {
    const recipients = Array.from({ length: size }, (_, n) => `u${n}@d${ids.length}.test`);
    ids.push(await makeMessage(directory, { recipients }));
    await manager.trigger('I');
    await eventually('an active message', () => manager.ids('active').length === ids.length);
    await eventually('a delivery', () => agent.load.now === 1);
  }
  // Whose recipients are being resolved will be in line before the next delivery ends.
  await eventually('all resolved', () => asked.length >= sizes.reduce((sum, size) => sum + size));
  open();
  await eventually('an empty queue', () => manager.ids('active').length === 0);
  return agent.requests.map(({ queueId }) => ids.indexOf(queueId) + 1).join('');
}
