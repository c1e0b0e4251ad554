import { sleep } from '../../lib/clock/clock.ts';

const STEP_MS = 20;

/**
 * Waits until `probe` gives something other than `undefined` or `false`.
 *
 * @throws {Error} naming what was waited for, after `limitMs`
 */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  limitMs = 20_000,
): Promise<T> {
  for (let waited = 0; waited < limitMs; waited += STEP_MS) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    await sleep(STEP_MS);
  }
  throw new Error(`waited ${limitMs} ms in vain for ${what}`);
}
