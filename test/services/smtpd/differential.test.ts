/** The same sessions with Postfix's smtpd and ours: the same replies, and the same lines in the log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { SETTINGS, type Session, type Setting } from './exchanges.ts';
import { type Parameters, startServerPairs } from './server-pair.ts';

/** Settings at once: each has to start its servers. */
const CONCURRENCY = 4;
const TRIES = 3;

/** Its waits for the common log are not reliable on a busy machine yet. */
const unasked = process.env.SMTPD_DIFFERENTIAL ? false : 'set SMTPD_DIFFERENTIAL=1 to run it';

test('smtpd answers as Postfix', {
  skip: whyNoPostfix() || unasked,
  concurrency: CONCURRENCY,
}, async (t) => {
  const settings: [string, Setting][] = Object.entries(SETTINGS);
  const parameters: Record<string, Parameters> = {};
  for (const [name, { main }] of settings) parameters[name] = main;
  const pairs = await startServerPairs(t, parameters);
  const tests = settings.map(([setting, { sessions }]) =>
    t.test(setting, async (group) => {
      for (const [name, given] of Object.entries(sessions)) {
        await group.test(`${setting}: ${name}`, async () => {
          const { steps, ...options }: Session = 'steps' in given ? given : { steps: given };
          const pair = pairs[setting];
          assert.ok(pair);
          // Two systems write one log: a line of theirs may be late, and the session is played again.
          for (let tries = 1; tries < TRIES; tries += 1) {
            const found = await pair.converse(steps, options).catch(() => undefined);
            if (found !== undefined && isDeepStrictEqual(found.ours, found.real)) return;
          }
          const { ours, real } = await pair.converse(steps, options);
          assert.deepEqual(ours, real);
        });
      }
    }),
  );
  await Promise.all(tests);
});
