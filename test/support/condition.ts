import { sleep } from '../../lib/clock/clock.ts';

const STEP_MS = 20;

/** How long a test waits for what must come: only a test that fails anyway needs so long. */
export const PATIENCE_MS = 90_000;

/**
 * Waits until `probe` gives something other than `undefined` or `false`.
 *
 * @throws {Error} naming what was waited for, after `limitMs`
 */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  limitMs = PATIENCE_MS,
): Promise<T> {
  for (let waited = 0; waited < limitMs; waited += STEP_MS) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    await sleep(STEP_MS);
  }
  throw new Error(`waited ${limitMs} ms in vain for ${what}`);
}
