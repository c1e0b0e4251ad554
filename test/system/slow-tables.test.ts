/** A pattern that a sender can make slow: its own client waits, and nobody else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converse, Dialogue } from '../services/smtpd/dialogue.ts';
import { atEnd } from '../support/cleanup.ts';
import { startMailSystem } from '../support/mail-system.ts';

/** With this, libc is busy for years. */
const EXPLODING = 'a'.repeat(300);
const DIALOGUE = (sender: string) => [
  'EHLO client.test',
  `MAIL FROM:<${sender}@client.test>`,
  'RCPT TO:<root@lab.test>',
];

test('an address cannot stall smtpd or trivial-rewrite with a back-reference', async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      local_recipient_maps: '',
      pattern_time_limit: '1h',
      smtpd_sender_restrictions: 'check_sender_access regexp:$config_directory/senders',
      transport_maps: 'regexp:$config_directory/transport',
    },
    files: {
      senders: '/^(.*)(.*)(.*)\\3\\2\\1x@/ REJECT\n/^twice(.+)\\1@/ REJECT $1\n',
      transport: '/^z(.*)(.*)(.*)\\3\\2\\1x@far/ smtp:\n/^(away)\\1@/ discard:\n',
    },
  });
  const stuck = new Dialogue({ port: mail.port });
  atEnd(t, () => stuck.socket.destroy());
  const [hello = '', from = '', to] = DIALOGUE(EXPLODING);
  await stuck.expect(1);
  await stuck.play(hello);
  await stuck.play(from);
  await stuck.say(`${to}\r\n`);
  assert.equal((await converse({ port: mail.port }, DIALOGUE('bob'))).at(-1), '250 2.1.5 Ok');
  assert.match(
    (await converse({ port: mail.port }, DIALOGUE('twiceabab'))).at(-1) ?? '',
    /^554 5.7.1 .*Access denied|abab?/,
  );
  mail.run('postconf', ['-e', 'pattern_time_limit=1s']);
  assert.equal(mail.run('postfix', ['reload']).status, 0);
  await mail.waitForLog(/reload -- version/);
  const refused = await converse({ port: mail.port }, DIALOGUE(EXPLODING));
  assert.match(refused.at(-1) ?? '', /^451 4\.3\.\d /);
  await mail.waitForLog(
    /warning: regexp:\S+senders: no answer in time for "a+\.\.\." \(pattern_time/,
  );
  // The next process has all of its threads.
  assert.equal((await converse({ port: mail.port }, DIALOGUE('bob'))).at(-1), '250 2.1.5 Ok');
  const far = ['EHLO x.test', 'MAIL FROM:<>', `RCPT TO:<z${EXPLODING}@lab.test>`];
  assert.match((await converse({ port: mail.port }, far)).at(-1) ?? '', /^451 4\.3\.0 /);
  await mail.send({ from: 'ann@client.test', to: ['awayaway@lab.test'] });
  await mail.waitForLog(/to=<awayaway@lab\.test>, relay=none.*status=sent/);
});
