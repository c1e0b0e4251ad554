/**
 * Any one daemon can be exchanged with real Postfix's: under our master with our other daemons each
 * of the real ones in turn, and under the real master each of ours. In every arrangement mail is
 * delivered locally, relayed, bounced and deferred, and comes out right.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually } from '../support/condition.ts';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { commandOf, daemonDirectory, type Maker, whyNoPostfix } from '../support/real-postfix.ts';
import { type SmtpPeer, startSmtpPeer } from '../support/smtp-peer.ts';

/** The user whose mailbox is looked at: every Debian has one, and nobody logs in as it. */
const USER = 'games';

/** Services and the daemon behind each; `%` stands for its command. */
const SERVICES: readonly (readonly [daemon: string, line: string])[] = [
  ['smtpd', '127.0.0.1:0 inet n - n - - %'],
  ['pickup', 'pickup unix n - n 60 1 %'],
  ['cleanup', 'cleanup unix n - n - 0 %'],
  ['qmgr', 'qmgr unix n - n 300 1 %'],
  ['trivial-rewrite', 'rewrite unix - - n - - %'],
  ['bounce', 'bounce unix - - n - 0 %'],
  ['bounce', 'defer unix - - n - 0 %'],
  ['bounce', 'trace unix - - n - 0 %'],
  ['showq', 'showq unix n - n - - %'],
  ['flush', 'flush unix n - n 1000? 0 %'],
  ['error', 'error unix - - n - - %'],
  ['error', 'retry unix - - n - - %'],
  ['discard', 'discard unix - - n - - %'],
  ['local', 'local unix - n n - - %'],
  ['smtp', 'smtp unix - - n - - %'],
  ['smtp', 'relay unix - - n - - %'],
  ['proxymap', 'proxymap unix - - n - - %'],
  ['anvil', 'anvil unix - - n - 1 %'],
  ['postlogd', 'postlog unix-dgram n - n - 1 %'],
];

interface Arrangement {
  readonly mail: MailSystem;
  readonly peer: SmtpPeer;
}

async function arrange(
  t: TestContext,
  master: Maker,
  makerOf: (daemon: string) => Maker,
): Promise<Arrangement> {
  const peer = await startSmtpPeer(t, {
    RCPT: (argument) => {
      if (argument.includes('gone')) return '550 5.1.1 nobody of that name';
      return argument.includes('later') ? '450 4.7.1 come back later' : '250 2.1.5 Ok';
    },
  });
  const only = SERVICES.map(([daemon, line]) =>
    line.replace('%', commandOf(master, makerOf(daemon), daemon)),
  );
  const mail = await startMailSystem(t, {
    only,
    postfix: master === 'ours' ? undefined : '/usr/sbin/postfix',
    main: {
      daemon_directory: daemonDirectory(master),
      command_directory: master === 'ours' ? join(process.cwd(), 'build/bin') : '/usr/sbin',
      relayhost: `[127.0.0.1]:${peer.port}`,
      mail_spool_directory: '$config_directory/../mail/',
      home_mailbox: '',
    },
    mailDirectory: true,
  });
  return { mail, peer };
}

/** Sends one message of each kind, and looks at what became of them. */
async function checkMail({ mail, peer }: Arrangement): Promise<void> {
  const from = `${USER}@lab.test`;
  await mail.send({ from, to: [from], subject: 'to a mailbox' });
  await mail.send({ from, to: ['friend@far.test'], subject: 'to the outside' });
  await mail.send({ from, to: ['gone@far.test'], subject: 'to nobody' });
  await mail.send({ from, to: ['later@far.test'], subject: 'to be tried again' });
  const sent = mail.run(
    'sendmail',
    ['-C', mail.config, '-i', '-f', from, from],
    'Subject: by sendmail\n\nhello\n',
  );
  assert.equal(sent.status, 0, sent.stderr);

  const inbox = () => mail.maildir(`mail/${USER}`);
  await eventually('two messages and a bounce in the mailbox', () => inbox().length >= 3);
  const subjects = inbox().map((text) => /^Subject: (.*)$/m.exec(text)?.[1]);
  assert.deepEqual(subjects.sort(), [
    'Undelivered Mail Returned to Sender',
    'by sendmail',
    'to a mailbox',
  ]);
  const bounce = inbox().find((text) => text.includes('Undelivered Mail')) ?? '';
  assert.match(bounce, /^Content-Type: multipart\/report; report-type=delivery-status;/m);
  assert.match(bounce, /^Final-Recipient: rfc822; gone@far\.test$/m);
  assert.match(bounce, /^Diagnostic-Code: smtp; 550 5\.1\.1 nobody of that name$/m);
  assert.match(bounce, /^Subject: to nobody$/m);

  const relayed = await peer.waitForMessages(1);
  assert.deepEqual(
    relayed.map(({ sender, recipients }) => [sender, recipients]),
    [[from, ['friend@far.test']]],
  );
  assert.match(relayed[0]?.content ?? '', /^Subject: to the outside\r\n/m);

  const [waiting] = await eventually('one deferred message, and nothing else', () => {
    const rest = ['maildrop', 'incoming', 'active'].flatMap((name) => mail.ids(name));
    const deferred = mail.ids('deferred');
    return rest.length === 0 && deferred.length === 1 && deferred;
  });
  const listing = mail.run('postqueue', ['-c', mail.config, '-p']).stdout;
  assert.match(listing, new RegExp(`^${waiting}\\s+\\d+ .*${from}$`, 'm'));
  assert.match(listing, /host 127\.0\.0\.1\[127\.0\.0\.1\] said: 450 4\.7\.1 come back later/);
  assert.match(listing, /^\s+later@far\.test$/m);
  assert.match(listing, /^-- \d+ Kbytes in 1 Request\.$/m);
  assert.doesNotMatch(mail.log(), /panic|fatal|warning: process/);
}

const DAEMONS = [
  'smtpd',
  'cleanup',
  'qmgr',
  'trivial-rewrite',
  'local',
  'smtp',
  'bounce',
  'pickup',
  'showq',
  'anvil',
] as const;

test('all daemons are ours', { skip: whyNoPostfix() }, async (t) => {
  await checkMail(await arrange(t, 'ours', () => 'ours'));
});

for (const daemon of DAEMONS) {
  test(`the real ${daemon} works among our daemons`, { skip: whyNoPostfix() }, async (t) => {
    await checkMail(await arrange(t, 'ours', (name) => (name === daemon ? 'real' : 'ours')));
  });
  test(`our ${daemon} works among the real daemons`, { skip: whyNoPostfix() }, async (t) => {
    await checkMail(await arrange(t, 'real', (name) => (name === daemon ? 'ours' : 'real')));
  });
}
