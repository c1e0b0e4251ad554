/** The same sessions with Postfix's smtpd and ours: the same replies, and the same lines in the log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { type Step, send } from './dialogue.ts';
import { SETTINGS, type Session, type Setting } from './exchanges.ts';
import { type Parameters, startServerPairs } from './server-pair.ts';

/** Where ours answers something else on purpose. */
const DIFFERENCES: Readonly<
  Record<string, { main?: Parameters; steps: readonly Step[]; ours: string; real: string }>
> = {
  'a message that was refused at its end is over': {
    main: { smtpd_end_of_data_restrictions: 'reject' },
    steps: [
      'EHLO client.test',
      'MAIL FROM:<ann@client.test>',
      'RCPT TO:<root@lab.test>',
      'DATA',
      send('a: b\r\n\r\nc\r\n.\r\n'),
      'MAIL FROM:<ann@client.test>',
    ],
    ours: '250 2.1.0 Ok',
    real: '503 5.5.1 Error: nested MAIL command',
  },
  'ORCPT has no control characters': {
    steps: [
      'EHLO client.test',
      'MAIL FROM:<ann@client.test>',
      'RCPT TO:<root@lab.test> ORCPT=rfc822;a+0D+0AX-Injected:b',
    ],
    ours: '501 5.5.4 Error: Bad ORCPT parameter syntax',
    real: '250 2.1.5 Ok',
  },
  'a line without an end is not read for ever': {
    steps: [send('x'.repeat(50_000), 0), send(`${'x'.repeat(50_000)}\r\n`)],
    ours: '421 4.7.0 mx.lab.test Error: command too long',
    real: '500 5.5.2 Error: command not recognized',
  },
};

/** Who talks first may still come second, when the machine has much to do. */
const EARLY_TRIES = 3;
/** Settings at once: each has to start its servers. */
const CONCURRENCY = 4;

async function retried(tries: number, action: () => Promise<void>): Promise<void> {
  for (let left = tries; left > 1; left -= 1) {
    if (
      await action().then(
        () => true,
        () => false,
      )
    )
      return;
  }
  await action();
}

test('smtpd answers as Postfix', {
  skip: whyNoPostfix(),
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
          await retried(options.early ? EARLY_TRIES : 1, async () => {
            const found = await pairs[setting]?.converse(steps, options);
            assert.deepEqual(found?.ours, found?.real);
          });
        });
      }
    }),
  );
  await Promise.all(tests);
});

test('smtpd differs from Postfix where it means to', { skip: whyNoPostfix() }, async (t) => {
  const parameters: Record<string, Parameters> = {};
  for (const [name, { main = {} }] of Object.entries(DIFFERENCES)) parameters[name] = main;
  const pairs = await startServerPairs(t, parameters);
  for (const [name, { steps, ours, real }] of Object.entries(DIFFERENCES)) {
    await t.test(name, async () => {
      const found = await pairs[name]?.converse(steps);
      const last = (replies: readonly string[] = []) => replies.at(-1)?.split('\n').at(-1);
      assert.deepEqual([last(found?.ours.replies), last(found?.real.replies)], [ours, real]);
    });
  }
});
