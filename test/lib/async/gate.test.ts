import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gate } from '../../../lib/async/gate.ts';

test('a gate lets so many in, and the others in their order', async () => {
  const gate = new Gate(2);
  await gate.enter();
  await gate.enter();
  assert.equal(gate.free, 0);
  const entered: string[] = [];
  const first = gate.enter().then(() => entered.push('first'));
  const second = gate.enter().then(() => entered.push('second'));
  assert.equal(gate.waiting, 2);
  gate.leave();
  await first;
  assert.deepEqual(entered, ['first']);
  gate.leave();
  await second;
  assert.deepEqual(entered, ['first', 'second']);
  gate.leave();
  gate.leave();
  assert.equal(gate.free, 2);
});

test('a gate is left when the action inside fails', async () => {
  const gate = new Gate(1);
  await assert.rejects(
    gate.through(async () => {
      throw new Error('broken');
    }),
    /broken/,
  );
  assert.equal(gate.free, 1);
});

test('a gate without a slot is refused', () => {
  for (const slots of [0, -1, Number.NaN]) assert.throws(() => new Gate(slots), RangeError);
});
