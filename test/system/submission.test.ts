/**
 * Mail from people and programs on this machine: as an ordinary user, as root and as cron sends it,
 * with the mail system up and down; who may and who may not; and nothing is set-uid for it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lookupUser } from '../../lib/os/identity.ts';
import { eventually } from '../support/condition.ts';
import {
  BUILD,
  type CommandResult,
  type MailSystem,
  startMailSystem,
} from '../support/mail-system.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';
import { converse } from '../support/smtp-client.ts';
import { startSmtpPeer } from '../support/smtp-peer.ts';
import { troubleIn } from './log-trouble.ts';

const skip = process.getuid?.() === 0 ? false : 'to be another user needs root';
const EX_TEMPFAIL = 75;
const EX_UNAVAILABLE = 69;
const BOX = 'games';

type UserName = 'root' | 'nobody';

/** Runs a command as somebody, with nothing in the environment but what is given. */
function runAs(
  user: UserName,
  command: string,
  args: readonly string[],
  {
    input = '',
    env = {},
    directory = join(BUILD, 'bin'),
  }: { input?: string; env?: Record<string, string>; directory?: string } = {},
): CommandResult {
  const { uid = 0, gid = 0 } = lookupUser(user) ?? {};
  const { status, stdout, stderr } = spawnSync(join(directory, command), args, {
    argv0: command,
    uid,
    gid,
    input,
    env,
    cwd: '/',
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

async function arrange(t: TestContext, main: Record<string, string> = {}): Promise<MailSystem> {
  return await startMailSystem(t, {
    mailDirectory: true,
    main: { mail_spool_directory: '$config_directory/../mail/', home_mailbox: '', ...main },
  });
}

/** The one message that arrives. */
async function arrival(mail: MailSystem): Promise<string> {
  const inbox = () => mail.maildir(`mail/${BOX}`);
  await eventually('a message in the mailbox', () => inbox().length > 0);
  await mail.waitUntilEmpty();
  assert.equal(inbox().length, 1);
  return inbox()[0] ?? '';
}

for (const user of ['nobody', 'root'] as const) {
  test(`sendmail takes mail from ${user}`, { skip }, async (t) => {
    const mail = await arrange(t);
    const { uid } = lookupUser(user) ?? {};
    const input = 'Subject: hello\n\nfirst\n.\nlast\n';
    const { status, stderr } = runAs(user, 'sendmail', ['-C', mail.config, '-i', BOX], { input });
    assert.deepEqual([status, stderr], [0, '']);
    const text = await arrival(mail);
    assert.match(text, new RegExp(`^Return-Path: <${user}@mx\\.lab\\.test>\n`));
    assert.match(text, new RegExp(`\\(Postfix, from userid ${uid}\\)`));
    assert.match(text, new RegExp(`^From: .*<?${user}@mx\\.lab\\.test`, 'm'));
    assert.match(text, /\n\nfirst\n\.\nlast\n$/);
    await mail.waitForLog(new RegExp(`uid=${uid} from=<${user}>`));
    assert.deepEqual(troubleIn(mail.log()), []);
  });

  test(`-t reads recipients from the header, and hides Bcc, for ${user}`, { skip }, async (t) => {
    const mail = await arrange(t);
    const input = `To: ${BOX}@lab.test\nBcc: Other <bin@lab.test>\nSubject: secret\n\nhello\n`;
    assert.equal(runAs(user, 'sendmail', ['-C', mail.config, '-t'], { input }).status, 0);
    const text = await arrival(mail);
    assert.doesNotMatch(text, /^bcc:|bin@/im);
    const [other = ''] = await eventually('a copy for the other', () => {
      const copies = mail.maildir('mail/bin');
      return copies.length === 1 && copies;
    });
    assert.doesNotMatch(other, /^bcc/im);
  });
}

test('cron sends mail with nothing in its environment', { skip }, async (t) => {
  const mail = await arrange(t);
  const input = `From: root (Cron Daemon)\nTo: ${BOX}\nSubject: Cron <nobody@mx> true\n\nout\n`;
  const args = ['-C', mail.config, '-FCronDaemon', '-i', '-B8BITMIME', '-oem', BOX];
  const { status, stdout, stderr } = runAs('nobody', 'sendmail', args, { input });
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
  assert.match(await arrival(mail), /^From: root@mx\.lab\.test \(Cron Daemon\)$/m);
});

test('while the mail system is down root can leave mail, others are told why not', {
  skip,
}, async (t) => {
  const mail = await arrange(t);
  mail.stop();
  const input = 'Subject: patience\n\nhello\n';
  const refused = runAs('nobody', 'sendmail', ['-C', mail.config, BOX], { input });
  assert.equal(refused.status, EX_TEMPFAIL);
  assert.match(refused.stderr, /^sendmail: fatal: the mail system is down \(.*postfix start/);
  assert.deepEqual(mail.ids('maildrop'), []);
  const taken = runAs('root', 'sendmail', ['-C', mail.config, BOX], { input });
  assert.equal(taken.status, 0, taken.stderr);
  assert.equal(mail.ids('maildrop').length, 1);
  mail.start();
  assert.match(await arrival(mail), /^Subject: patience$/m);
});

test('who may not submit is told so, in words of Postfix', { skip: whyNoPostfix() }, async (t) => {
  const mail = await arrange(t, { authorized_submit_users: 'nobody' });
  const args = ['-C', mail.config, BOX];
  for (const state of ['up', 'down']) {
    if (state === 'down') mail.stop();
    const ours = runAs('root', 'sendmail', args);
    const real = runAs('root', 'sendmail', args, { directory: '/usr/sbin' });
    assert.equal(ours.stderr, 'sendmail: fatal: User root(0) is not allowed to submit mail\n');
    assert.deepEqual(ours, real, state);
    assert.deepEqual(mail.ids('maildrop'), []);
  }
});

/** Who asks for what, when only root may. */
const FORBIDDEN: readonly (readonly [command: string, args: readonly string[], verb: string])[] = [
  ['sendmail', ['-i', BOX], 'submit mail'],
  ['mailq', [], 'view the mail queue'],
  ['postqueue', ['-p'], 'view the mail queue'],
  ['postqueue', ['-j'], 'view the mail queue'],
  ['postqueue', ['-f'], 'flush the mail queue'],
  ['postqueue', ['-i', '0123456789'], 'flush the mail queue'],
  ['sendmail', ['-q'], 'flush the mail queue'],
];

test('what main.cf allows only root is refused to others', { skip }, async (t) => {
  const mail = await arrange(t, {
    authorized_submit_users: 'root',
    authorized_mailq_users: 'root',
    authorized_flush_users: 'root',
  });
  for (const [command, args, verb] of FORBIDDEN) {
    const where = command === 'postqueue' ? ['-c', mail.config] : ['-C', mail.config];
    const { status, stdout, stderr } = runAs('nobody', command, [...where, ...args]);
    assert.ok(status === EX_TEMPFAIL || status === EX_UNAVAILABLE, command);
    assert.equal(stdout, '');
    assert.match(stderr, new RegExp(`fatal: User nobody\\(\\d+\\) is not allowed to ${verb}\n$`));
  }
  assert.equal(runAs('root', 'mailq', ['-C', mail.config]).stdout, 'Mail queue is empty\n');
});

test('mailq shows an ordinary user what it shows root', { skip }, async (t) => {
  const peer = await startSmtpPeer(t, { RCPT: '450 4.7.1 come back later' });
  const mail = await arrange(t, { relayhost: `[127.0.0.1]:${peer.port}` });
  await mail.send({ from: 'games@lab.test', to: ['later@far.test'] });
  await eventually('a deferred message', () => mail.ids('deferred').length === 1);
  const [root, nobody] = (['root', 'nobody'] as const).map((user) =>
    runAs(user, 'mailq', ['-C', mail.config]),
  );
  assert.match(root?.stdout ?? '', /later@far\.test/);
  assert.deepEqual(nobody, root);
});

test('no program of ours is set-uid or set-gid', () => {
  const programs = ['bin', 'libexec', 'workers'].flatMap((folder) =>
    readdirSync(join(BUILD, folder)).map((name) => join(BUILD, folder, name)),
  );
  assert.ok(programs.length > 30);
  assert.deepEqual(
    programs.filter((path) => (statSync(path).mode & 0o6000) !== 0),
    [],
  );
});

const PFLOGSUMM = '/usr/sbin/pflogsumm';
const whyNoReport = skip || (existsSync(PFLOGSUMM) ? false : 'pflogsumm is not installed');

test('pflogsumm counts a mixed day right', { skip: whyNoReport }, async (t) => {
  const peer = await startSmtpPeer(t, {
    RCPT: (argument) => {
      if (argument.includes('gone')) return '550 5.1.1 nobody of that name';
      return argument.includes('later') ? '450 4.7.1 come back later' : '250 2.1.5 Ok';
    },
  });
  const mail = await arrange(t, { relayhost: `[127.0.0.1]:${peer.port}` });
  const from = `${BOX}@lab.test`;
  for (const to of [from, 'friend@far.test', 'gone@far.test', 'later@far.test']) {
    await mail.send({ from, to: [to] });
  }
  await mail.send({ from, to: ['one@far.test', 'two@far.test', 'bin@lab.test'] });
  runAs('nobody', 'sendmail', ['-C', mail.config, from], { input: 'Subject: local\n\nhello\n' });
  const replies = await converse(mail.port, [
    'EHLO x',
    `MAIL FROM:<${from}>`,
    'RCPT TO:<nosuchuser@lab.test>',
    'QUIT',
  ]);
  assert.match(replies[3] ?? '', /^550 5\.1\.1 /);
  await eventually('only one message left', () => {
    const rest = ['maildrop', 'incoming', 'active'].flatMap((name) => mail.ids(name));
    return (
      rest.length === 0 &&
      mail.ids('deferred').length === 1 &&
      mail.maildir(`mail/${BOX}`).length === 3
    );
  });
  mail.stop();
  const { stdout } = spawnSync(PFLOGSUMM, [join(mail.directory, 'maillog')], { encoding: 'utf8' });
  const totals = Object.fromEntries(
    [...stdout.matchAll(/^ +(\d+) +(received|delivered|deferred|bounced|rejected)\b/gm)].map(
      ([, count, what]) => [what, Number(count)],
    ),
  );
  // Received are six: it does not count the bounce. Delivered: three to the box, one to bin, three
  // to friends.
  assert.deepEqual(totals, { received: 6, delivered: 7, deferred: 1, bounced: 1, rejected: 1 });
});
