import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeadlineError, withDeadline } from '../../../lib/async/deadline.ts';

const never = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('cut off')), { once: true });
  });

test('withDeadline returns what the action returns', async () => {
  assert.equal(await withDeadline(10_000, undefined, async () => 7), 7);
});

test('withDeadline ends an action that takes too long, and says what it was', async () => {
  const waiting = withDeadline(5, undefined, never, 'connect to 192.0.2.1');
  await assert.rejects(waiting, (error: DeadlineError) => {
    assert.ok(error instanceof DeadlineError);
    assert.equal(error.message, 'timeout after 0.005 s: connect to 192.0.2.1');
    return true;
  });
});

test('withDeadline does not wait for an action that ignores its signal', async () => {
  await assert.rejects(
    withDeadline(5, undefined, () => new Promise(() => {})),
    DeadlineError,
  );
});

test('withDeadline passes the reason of a stop on', async () => {
  const stop = new AbortController();
  const waiting = withDeadline(10_000, stop.signal, never);
  stop.abort(new Error('stopping'));
  await assert.rejects(waiting, /^Error: stopping$/);
  await assert.rejects(withDeadline(10_000, stop.signal, never), /^Error: stopping$/);
});

test('withDeadline passes on how the action failed, thrown or rejected', async () => {
  const thrown = () => {
    throw new Error('refused');
  };
  await assert.rejects(withDeadline(10_000, undefined, thrown), /^Error: refused$/);
  await assert.rejects(
    withDeadline(10_000, undefined, async () => thrown()),
    /^Error: refused$/,
  );
});
