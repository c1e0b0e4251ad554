/** sendmail at work: what it leaves in maildrop, and what it says. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lookupUser } from '../../lib/os/identity.ts';
import {
  noRealPostfix,
  type RealPostfix,
  startRealPostfix,
} from '../services/cleanup/real-postfix.ts';
import { eventually } from '../support/condition.ts';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { parseRecords } from '../support/records.ts';
import { writeSettled } from '../support/settled-file.ts';

const PLAIN = 'Subject: x\n\nbody\n';
const ADDRESSED =
  'From joe Mon\nTo: a, b <c@d>\nBcc: "q r"@s\nCc: x,\n y\nSubject: x\r\n\nbody\r\n.\nafter\n';
const LONG = ['x'.repeat(2048), 'y'.repeat(2049), 'z'.repeat(4096), 'q'].join('\n');

const CASES: readonly (readonly [args: readonly string[], input: string])[] = [
  ...[
    ...['', '-t', '-bz', '-Xf', '-B x u', '-bd x', '-qS', '-qI', '-qRx -bp', '-bv -t x', '-bp x'],
    ...['-N foo u@x', '-N success,delay u@x,v@y', '-f a@b u', '-f <> u', '-f a,b u', '-G u'],
    ...['-r x -F Full u', '-B 8BITMIME -R hdrs -V QQ1 u', '-bv u v@w', '-v u', '-XV u'],
    ...['-XV+= u', '-XVxx u', '-XV -f <> u', '-oA u', '-q30m u', '-bh u', '-- -u', 'a,b c'],
    ...['-Ac -Am -c -e x -h n -L tag -m -o7 -om -O a=b -p q -x u'],
  ].map((line): [string[], string] => [line === '' ? [] : line.split(' '), PLAIN]),
  [['-F', '"x" y', '-f', '"a b"@c', '-V', '"q"', '"d e"@f'], PLAIN],
  [["-F'x'", '-R', '"hdrs"', 'u'], PLAIN],
  [['-t'], ADDRESSED],
  [['-ti'], ADDRESSED],
  [['-t', 'u'], ADDRESSED],
  [['u'], ADDRESSED],
  [['-oi', 'u'], ADDRESSED],
  [['-t'], 'To: a\nResent-To: rr\nResent-Bcc: rb\nSubject: x'],
  [['u'], ''],
  [['u'], 'no newline'],
  [['u'], '.\n'],
  [['u'], '..\n'],
  [['u'], '>>From x\n>From y\nFrom z\nSubject: x\nFrom here\n'],
  [['-t', 'u'], 'no header\n\n'],
  [['u'], LONG],
  [['-t', 'u'], LONG],
  [['-t', 'u'], `X-Long: ${'x'.repeat(4096)}\n\n${'y'.repeat(2048)}`],
  [['u'], `${'x'.repeat(2047)}\r\ny\r\r\n`],
];

test('sendmail leaves what the real one leaves', { skip: noRealPostfix }, async (t) => {
  const postfix = await startRealPostfix(t);
  for (const [args, input] of CASES) {
    await t.test(`${args.join(' ')} < ${JSON.stringify(input.slice(0, 30))}`, () => {
      const theirs = run(postfix, '/usr/sbin/sendmail', args, input);
      assert.deepEqual(run(postfix, resolve('build/bin/sendmail'), args, input), theirs);
    });
  }
});

function run(postfix: RealPostfix, program: string, args: readonly string[], input: string) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    input,
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', MAIL_CONFIG: postfix.configuration },
  });
  const folder = join(postfix.queue, 'maildrop');
  const files = readdirSync(folder).map((name) => {
    const path = join(folder, name);
    const { mode, uid, gid } = statSync(path);
    const records = parseRecords(readFileSync(path)).map((record) =>
      record[0] === 'T' ? 'T' : record.join(' '),
    );
    unlinkSync(path);
    return { mode: (mode & 0o7777).toString(8), uid, gid, records };
  });
  return { status, stdout, stderr, files };
}

const SERVICES = [
  'pickup unix n - n 60 1 pickup',
  'cleanup unix n - n - 0 cleanup',
  'rewrite unix - - n - - trivial-rewrite',
  'bounce unix - - n - 0 bounce',
];

function start(t: TestContext, main: Readonly<Record<string, string>> = {}): Promise<MailSystem> {
  return startMailSystem(t, { main: { in_flow_delay: '0', ...main }, only: SERVICES });
}

test('while the mail system runs, a message is queued when sendmail ends', async (t) => {
  const mail = await start(t);
  const { status, stdout, stderr } = mail.run('sendmail', ['-t', '-f', 'me@x.test'], ADDRESSED);
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
  const [id] = mail.ids('incoming');
  assert.ok(id);
  const records = parseRecords(readFileSync(join(mail.queue, 'incoming', id)));
  const recipients = records.filter(([type]) => type === 'R').map(([, address]) => address);
  assert.deepEqual(recipients, [
    ...['a@mx.lab.test', 'c@d', 'q r@s', 'x@mx.lab.test', 'y@mx.lab.test'],
  ]);
  const lines = records.map(([, text]) => text);
  assert.ok(!lines.some((line) => line.startsWith('Bcc')));
  assert.deepEqual(mail.ids('maildrop'), []);
});

test('a message too big is refused, also while it is on its way', async (t) => {
  const mail = await start(t, { message_size_limit: '100000' });
  const { status, stderr } = mail.run(
    'sendmail',
    ['u'],
    'x'.repeat(99).concat('\n').repeat(50_000),
  );
  assert.equal(status, 75);
  assert.match(stderr, /^sendmail: fatal: \S+\(\d+\): message file too big$/m);
  await eventually('no message', () => readdirSync(join(mail.queue, 'incoming')).length === 0);
});

test('who may not submit is told so', async (t) => {
  const mail = await start(t, { authorized_submit_users: 'nosuchuser' });
  const { status, stderr } = mail.run('sendmail', ['u'], PLAIN);
  assert.equal(status, 75);
  assert.match(stderr, /^sendmail: fatal: User \S+\(\d+\) is not allowed to submit mail$/m);
});

test('a report is announced', async (t) => {
  const mail = await start(t);
  const { stdout } = mail.run('sendmail', ['-v', '-f', 'me@x.test', 'u'], PLAIN);
  assert.equal(stdout, 'Mail Delivery Status Report will be mailed to <me@x.test>.\n');
});

test('when the mail system is down, mail waits in maildrop until it is up', async (t) => {
  const mail = await start(t);
  mail.stop();
  const { status, stderr } = mail.run('sendmail', ['u'], PLAIN);
  assert.equal(status, 0);
  assert.match(stderr, /^postdrop: warning: unable to look up public\/pickup/);
  assert.equal(mail.ids('maildrop').length, 1);
  mail.start();
  await eventually('the message', () => mail.ids('incoming').length === 1);
  await eventually('an empty maildrop', () => mail.ids('maildrop').length === 0);
});

test('when it is down, others are asked to try again', { skip: noRealPostfix }, async (t) => {
  const mail = await start(t);
  mail.stop();
  const nobody = lookupUser('nobody');
  assert.ok(nobody);
  const { status, stderr } = spawnSync(
    resolve('build/bin/sendmail'),
    ['-C', mail.config, 'u@x.test'],
    { input: PLAIN, uid: nobody.uid, gid: nobody.gid, encoding: 'utf8' },
  );
  assert.equal(status, 75);
  assert.match(stderr, /^sendmail: fatal: the mail system is down .*: only root can leave mail/);
});

test('sendmail without a configuration, or a queue, says so', async (t) => {
  const mail = await start(t);
  const missing = mail.run('sendmail', ['-C', '/nonexistent', 'u'], PLAIN);
  assert.equal(missing.status, 75);
  assert.equal(
    missing.stderr,
    'sendmail: fatal: open /nonexistent/main.cf: No such file or directory\n',
  );
  writeSettled(join(mail.directory, 'main.cf'), 'queue_directory = /nonexistent\n');
  const noQueue = mail.run('sendmail', ['-C', mail.directory, 'u'], PLAIN);
  assert.equal(noQueue.stderr, 'sendmail: fatal: chdir /nonexistent: No such file or directory\n');
});

test('newaliases makes the alias tables', async (t) => {
  const mail = await start(t);
  const source = join(mail.directory, 'aliases');
  writeFileSync(source, 'postmaster: root\n');
  const { status, stderr } = mail.run('newaliases', [`-oAhash:${source}`]);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  assert.ok(statSync(`${source}.db`).size > 0);
});
