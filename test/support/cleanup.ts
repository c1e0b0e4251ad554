import type { TestContext } from 'node:test';

type Action = () => unknown;

const waiting = new WeakMap<TestContext, Action[]>();

/**
 * Has `action` done when the test ends, also when it fails: what was set up last is taken down
 * first. Node's own hooks run in the order in which they were added, which would remove the
 * directory of a mail system before that is stopped.
 */
export function atEnd(t: TestContext, action: Action): void {
  const known = waiting.get(t);
  if (known !== undefined) {
    known.push(action);
    return;
  }
  const actions = [action];
  waiting.set(t, actions);
  t.after(async () => {
    const failures: unknown[] = [];
    for (let next = actions.pop(); next !== undefined; next = actions.pop()) {
      try {
        await next();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  });
}
