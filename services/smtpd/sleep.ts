import { sleep } from '../../lib/clock/clock.ts';
import type { Restriction } from './rule.ts';
import { DUNNO, serverError } from './verdict.ts';

/** `sleep 5`: the client waits. */
export function sleepFor(seconds: string | undefined): Restriction {
  if (seconds === undefined || !/^\d+$/.test(seconds)) {
    return () => serverError('restriction sleep must be followed by number');
  }
  return async () => {
    await sleep(Number(seconds) * 1000);
    return DUNNO;
  };
}
