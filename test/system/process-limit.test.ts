/** Daemons that wait for each other refuse to run with a process limit. */
import { join } from 'node:path';
import { test } from 'node:test';
import { trigger } from '../../lib/clients/trigger.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';
import { MAKERS, NAMES, startSystemOf } from './makers.ts';

const SERVICES = [
  ['cleanup', 'public/cleanup', 'cleanup unix n - n - 5 cleanup'],
  ['flush', 'public/flush', 'flush unix n - n - 5 flush'],
  ['bounce', 'private/bounce', 'bounce unix - - n - 5 bounce'],
  ['defer', 'private/defer', 'defer unix - - n - 5 bounce'],
  ['trace', 'private/trace', 'trace unix - - n - - bounce'],
] as const;

for (const maker of MAKERS) {
  test(`${NAMES[maker]}'s cleanup, bounce and flush must have no process limit`, {
    skip: maker === 'real' && whyNoPostfix(),
  }, async (t) => {
    const only = SERVICES.map(([, , line]) => line);
    const mail = await startSystemOf(t, maker, { relayPort: 1, only });
    for (const [name, socket] of SERVICES) {
      await trigger(join(mail.queue, socket), 'x', 10);
      await mail.waitForLog(new RegExp(`fatal: service ${name} requires a process limit of 0`));
    }
  });
}
