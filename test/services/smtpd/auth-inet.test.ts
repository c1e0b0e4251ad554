/** smtpd_sasl_path = inet:host:port: Dovecot and our own auth(8), asked by Postfix's smtpd and ours. */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { freshDirectory } from '../../support/directories.ts';
import { startDovecot, whyNoDovecot } from '../../support/dovecot.ts';
import { startMailSystem } from '../../support/mail-system.ts';
import { freePort } from '../../support/ports.ts';
import { commandOf, type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import { converse } from './dialogue.ts';
import { tryMechanisms } from './sasl-client.ts';

const JOE = { user: 'joe', password: 'secret' };
const MECHANISMS = ['PLAIN', 'LOGIN', 'CRAM-MD5', 'SCRAM-SHA-256'];
const RIGHT = ['235', '535', '535'];
const PORT = 2525;
const NETWORK = `127.${32 + (process.pid % 30)}.${(process.pid >> 6) % 256}`;

test('who checks passwords may be anywhere', {
  skip: whyNoPostfix() || whyNoDovecot(),
  concurrency: 8,
}, async (t) => {
  const dovecot = await startDovecot(t, { [JOE.user]: JOE.password });
  const [own, nobody] = [await freePort(), await freePort()];
  const passwords = join(freshDirectory(t), 'passwords');
  writeFileSync(passwords, `joe:{PLAIN}${JOE.password}\n`);
  chmodSync(passwords, 0o600);
  /** By the last byte of its address: the smtpd there, and whom it asks. */
  const servers: readonly (readonly [Maker, type: string, path: string])[] = [
    ['ours', 'dovecot', `inet:127.0.0.1:${dovecot.port}`],
    ['ours', 'dovecot', `inet:localhost:${dovecot.port}`],
    ['ours', 'dovecot', `inet:[127.0.0.1]:${dovecot.port}`],
    ['ours', 'dovecot', `inet:127.0.0.1:${own}`],
    ['ours', 'posthaste', `inet:127.0.0.1:${own}`],
    ['real', 'dovecot', `inet:localhost:${own}`],
    ['real', 'dovecot', `inet:127.0.0.1:${dovecot.port}`],
  ];
  const gone = servers.length + 1;
  const line = (maker: Maker, at: number, type: string, path: string) =>
    `${NETWORK}.${at}:${PORT} inet n - n - 2 ${commandOf('ours', maker, 'smtpd')} ` +
    `-o smtpd_sasl_type=${type} -o smtpd_sasl_path=${path}`;
  const mail = await startMailSystem(t, {
    main: {
      smtpd_sasl_auth_enable: 'yes',
      smtpd_peername_lookup: 'no',
      smtpd_error_sleep_time: '0',
      auth_sources: passwords,
      auth_failure_delay: '0',
    },
    only: [
      ...servers.map(([maker, type, path], at) => line(maker, at + 1, type, path)),
      line('ours', gone, 'dovecot', `inet:127.0.0.1:${nobody}`),
      line('real', gone + 1, 'dovecot', `inet:127.0.0.1:${nobody}`),
      `127.0.0.1:${own} inet n n n - 0 auth`,
      `proxymap unix - - n - - ${commandOf('ours', 'real', 'proxymap')}`,
      'cleanup unix n - n - 0 cleanup',
      'rewrite unix - - n - - trivial-rewrite',
      'anvil unix - - n - 1 anvil',
    ],
  });
  const expected = Object.fromEntries(MECHANISMS.map((name) => [name, RIGHT]));
  // Dovecot takes its time to say no.
  await Promise.all(
    servers.map(([maker, type, path], at) =>
      t.test(`${maker}: ${type} at ${path.replace(/\d+$/, 'PORT')}`, async () => {
        const door = { host: `${NETWORK}.${at + 1}`, port: PORT };
        assert.deepEqual(await tryMechanisms(door, MECHANISMS, JOE), expected);
      }),
    ),
  );
  await t.test('where nobody is, the log says so, and ours goes on', async () => {
    for (const at of [gone, gone + 1]) {
      const door = { host: `${NETWORK}.${at}`, port: PORT };
      const replies = await converse(door, ['EHLO client.test', 'AUTH PLAIN AGEAYg==', 'QUIT']);
      if (at === gone) {
        assert.equal(
          replies.at(-2),
          "454 4.7.0 Temporary authentication failure: Can't connect to authentication server",
        );
      }
      const why = `SASL: Connect to Dovecot auth socket 'inet:127\\.0\\.0\\.1:${nobody}' failed: Connection refused`;
      await mail.waitForLog(new RegExp(why));
    }
  });
});
