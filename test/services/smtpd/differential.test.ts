/** The same sessions with Postfix's smtpd and ours: the same replies, and the same lines in the log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { compareServers } from './compare.ts';
import { type Step, send } from './dialogue.ts';
import { SETTINGS } from './exchanges.ts';
import { TALKING_FIRST } from './framing-exchanges.ts';
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

/** Settings at once: each has to start its servers. */
const CONCURRENCY = 4;

test(
  'smtpd answers as Postfix',
  {
    skip: whyNoPostfix(),
    concurrency: CONCURRENCY,
  },
  (t) => compareServers(t, SETTINGS),
);

test('smtpd answers as Postfix who talks first', { skip: whyNoPostfix() }, (t) =>
  compareServers(t, TALKING_FIRST, { processes: '1' }),
);

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
