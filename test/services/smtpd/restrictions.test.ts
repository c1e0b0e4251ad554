/** Restrictions: the same decisions, replies and log lines as Postfix's smtpd. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startMailSystem } from '../../support/mail-system.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { ACCESS_SETTINGS } from './access-exchanges.ts';
import { compareServers } from './compare.ts';
import { converse } from './dialogue.ts';
import { RARE_SETTINGS } from './rare-exchanges.ts';

test('access tables decide as in Postfix', { skip: whyNoPostfix(), concurrency: 4 }, (t) =>
  compareServers(t, ACCESS_SETTINGS),
);

test('what is rare is as in Postfix', { skip: whyNoPostfix(), concurrency: 4 }, (t) =>
  compareServers(t, RARE_SETTINGS),
);

// Postfix's smtpd panics.
test('a class that names itself is a configuration error', async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      smtpd_restriction_classes: 'loop',
      loop: 'loop',
      smtpd_recipient_restrictions: 'loop, reject',
    },
  });
  const replies = await converse({ port: mail.port }, [
    'EHLO client.test',
    'MAIL FROM:<ann@client.test>',
    'RCPT TO:<root@lab.test>',
  ]);
  assert.equal(replies.at(-1), '451 4.3.5 Server configuration error');
  await mail.waitForLog(/warning: restriction class loop causes unreasonable recursion/);
});

test('a class without members keeps smtpd from starting', async (t) => {
  const mail = await startMailSystem(t, { main: { smtpd_restriction_classes: 'empty' } });
  await converse({ port: mail.port }, [], { early: true });
  await mail.waitForLog(/fatal: restriction class `empty' needs a definition/);
});

test('a copy that an access table asks for is nobody else’s business', async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      local_recipient_maps: '',
      local_transport: 'discard:',
      smtpd_recipient_restrictions: 'check_recipient_access static:{BCC copy@lab.test}',
    },
  });
  await mail.send({ from: 'ann@client.test', to: ['root@lab.test'] });
  await mail.waitForLog(/to=<copy@lab.test>.*status=sent/);
});

test('with -v the log names parameter, file, line, key and answer', async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      smtpd_recipient_restrictions: 'check_recipient_access texthash:$config_directory/access',
    },
    files: { access: 'lab.test REJECT no\n' },
    only: [
      '127.0.0.1:0 inet n - n - - smtpd -v',
      'rewrite unix - - n - - trivial-rewrite',
      'anvil unix - - n - 1 anvil',
      'postlog unix-dgram n - n - 1 postlogd',
    ],
  });
  const steps = ['EHLO client.test', 'MAIL FROM:<ann@client.test>', 'RCPT TO:<root@lab.test>'];
  await converse({ port: mail.port }, steps);
  const line = await mail.waitForLog(/smtpd_recipient_restrictions: check_recipient_access/);
  const access = `${mail.config}/access`;
  assert.match(line, /etc\/main\.cf, line \d+: smtpd_recipient_restrictions: /);
  assert(
    line.includes(`texthash:${access}: reject (texthash:${access}: lab.test: REJECT no)`),
    line,
  );
});
