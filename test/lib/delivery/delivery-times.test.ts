import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type DeliveryTimes,
  delaysOf,
  formatDeliveryTimes,
  NEVER,
  parseDeliveryTimes,
} from '../../../lib/delivery/delivery-times.ts';

const at = (seconds: number, microseconds = 0) => ({
  seconds: 1_795_000_000 + seconds,
  microseconds,
});
const ALL: DeliveryTimes = {
  arrival: at(0),
  active: at(1, 500_000),
  handoff: at(3, 500_000),
  connected: at(6),
  delivered: at(10, 250_000),
  reuseCount: 2,
};

test('the structure is the one of the C library, and comes back', () => {
  const bytes = formatDeliveryTimes({ ...ALL, connected: NEVER });
  assert.equal(bytes.length, 88);
  assert.equal(bytes.readBigInt64LE(16), 1_795_000_001n);
  assert.equal(bytes.readBigInt64LE(24), 500_000n);
  assert.equal(bytes.readBigInt64LE(48), 0n);
  assert.equal(bytes.readInt32LE(80), 2);
  assert.deepEqual(parseDeliveryTimes(bytes), { ...ALL, connected: NEVER });
  assert.equal(parseDeliveryTimes(bytes.subarray(1)), undefined);
});

const DELAYS: [string, Partial<DeliveryTimes>, number, number[]][] = [
  ['all stages', {}, 10.25, [1.5, 2, 2.5, 4.25]],
  ['no connection', { connected: NEVER }, 10.25, [1.5, 2, 0, 6.75]],
  ['no agent: all the rest was queueing', { handoff: NEVER }, 10.25, [1.5, 8.75, 0, 0]],
  ['no queue manager', { active: NEVER, handoff: NEVER }, 10.25, [10.25, 0, 0, 0]],
  ['a clock that was set back', { active: at(-5) }, 10.25, [0, 8.5, 2.5, 4.25]],
];
for (const [what, changes, delay, delays] of DELAYS) {
  test(`delays with ${what}`, () => {
    assert.deepEqual(delaysOf({ ...ALL, ...changes }), { delay, delays });
  });
}
