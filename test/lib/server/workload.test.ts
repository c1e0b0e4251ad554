/** When a process asks for help: what it has worked, and whether it has clients. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from '../../../lib/server/slots.ts';
import { type Work, Workload } from '../../../lib/server/workload.ts';

/** Milliseconds of processor time between looks that are a second apart, and after which it asks. */
const LOADS: Readonly<
  Record<string, readonly [worked: readonly number[], asks: readonly number[]]>
> = {
  'nothing to do': [[0, 10, 0], []],
  'much to do, but less than a processor can': [[850, 890, 850, 890], []],
  'a moment is no load': [[1000, 100, 1000, 100], []],
  'more than it can': [
    [950, 950, 1000],
    [1, 2],
  ],
  'several threads': [[1500, 1800], [1]],
  'for a time': [[100, 950, 950, 100, 950], [2]],
};

for (const [what, [worked, expected]] of Object.entries(LOADS)) {
  test(`the work of a process: ${what}`, () => {
    let work: Work = { used: 500, at: 100 };
    let asked = false;
    const workload = new Workload(
      () => {
        asked = true;
      },
      () => work,
    );
    workload.start();
    const asks = worked.flatMap((used, at) => {
      work = { used: work.used + used, at: work.at + 1000 };
      asked = false;
      workload.look();
      return asked ? [at] : [];
    });
    workload.stop();
    assert.deepEqual(asks, expected);
  });
}

test('the work of a process is watched while it has clients', () => {
  const said: string[] = [];
  const workload = { start: () => said.push('start'), stop: () => said.push('stop') };
  const channel = { report: () => {}, notify: () => {} };
  const slots = new Slots(3, channel, { shared: true }, workload);
  slots.take();
  slots.take();
  slots.release();
  assert.deepEqual(said, ['start']);
  slots.release();
  slots.take();
  assert.deepEqual(said, ['start', 'stop', 'start']);
});
