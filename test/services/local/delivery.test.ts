import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lookupUser } from '../../../lib/os/identity.ts';
import { needsRoot } from '../../lib/os/scratch.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';

/** Accounts that every Linux system has. */
const USER = 'games';
const OTHER = 'news';

/** A mail system that delivers to users' mailboxes in a directory of its own. */
async function start(t: TestContext, options: Parameters<typeof startMailSystem>[1] = {}) {
  const mail = await startMailSystem(t, {
    ...options,
    stopped: true,
    main: { home_mailbox: '', ...options.main },
  });
  const spool = join(mail.directory, 'mail');
  const forward = join(mail.directory, 'forward');
  mkdirSync(spool);
  chmodSync(spool, 0o1777);
  mkdirSync(forward, { mode: 0o755 });
  const path = join(mail.config, 'main.cf');
  const more = `mail_spool_directory = ${spool}\nforward_path = ${forward}/$user\n`;
  writeFileSync(path, readFileSync(path, 'utf8') + more);
  mail.start();
  return { mail, mailbox: (user: string) => readIfThere(join(spool, user)), spool, forward };
}

function readIfThere(path: string): string {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? '' : readFileSync(path, 'utf8');
}

function send(mail: MailSystem, to: string, text = 'Subject: x\n\nbody\nFrom here\n'): void {
  const { status, stderr } = mail.run('sendmail', ['-f', 'ann@example.com', to], text);
  assert.equal(status, 0, stderr);
}

test('mail for a user lands in their mailbox, as them', { skip: needsRoot }, async (t) => {
  const { mail, mailbox, spool } = await start(t);
  send(mail, `${USER}@lab.test`);
  const line = await mail.waitForLog(/status=sent/);
  assert.match(
    line,
    /to=<games@lab\.test>, relay=local, .*dsn=2\.0\.0, status=sent \(delivered to mailbox\)/,
  );
  const text = mailbox(USER);
  assert.match(
    text,
    /^From ann@example\.com {2}.*\nReturn-Path: <ann@example\.com>\nX-Original-To: games@lab\.test\nDelivered-To: games@lab\.test\nReceived: /,
  );
  assert.match(text, /\n\nbody\n>From here\n\n$/);
  const { uid, mode } = statSync(join(spool, USER));
  assert.deepEqual([uid, mode & 0o777], [lookupUser(USER)?.uid, 0o600]);
  await mail.waitUntilEmpty();
});

const ALIASES = `
postmaster ${USER}
team ${USER}, ${OTHER}
list ${USER}, ${OTHER}
owner-list ${USER}
loop1 loop2
loop2 loop1
command "|cat >/dev/null; id -un; exit 69"
status "|echo 4.2.2 full; exit 1"
fine "|cat >/dev/null"
null /dev/null
nothing :include:/dev/null
`;

test('aliases lead to users, commands and files, and failures are told', {
  skip: needsRoot,
}, async (t) => {
  const { mail, mailbox } = await start(t, { files: { aliases: ALIASES } });
  for (const [to, logged] of [
    [
      'team',
      /to=<news@mx\.lab\.test>, orig_to=<team@lab\.test>, .*status=sent \(delivered to mailbox\)/,
    ],
    ['list', /to=<list@lab\.test>, relay=local, .*status=sent \(forwarded as [0-9A-Za-z]+\)/],
    ['loop1', /dsn=4\.4\.6, status=deferred \(alias database loop for loop1: /],
    ['command', /dsn=5\.3\.0, status=bounced \(service unavailable\. Command output: nobody \)/],
    ['status', /dsn=4\.2\.2, status=deferred \(full \)/],
    ['fine', /status=sent \(delivered to command: cat >\/dev\/null\)/],
    ['null', /status=sent \(delivered to file: \/dev\/null\)/],
    ['nothing', /dsn=5\.3\.5, status=bounced \(mail system configuration error\)/],
    ['nobody-here', /dsn=5\.1\.1, status=bounced \(unknown user: "nobody-here"\)/],
  ] as const) {
    send(mail, `${to}@lab.test`);
    assert.match(await mail.waitForLog(logged), logged, to);
  }
  const forwarded =
    /Return-Path: <owner-list@mx\.lab\.test>\n.*\n.*\n.*\n.*\nDelivered-To: list@lab\.test/;
  await eventually('the copy with another sender', () => forwarded.test(mailbox(OTHER)));
});

test('an attempt that has to be repeated leaves one copy in a Maildir', {
  skip: needsRoot,
}, async (t) => {
  const { mail, spool } = await start(t, { main: { minimal_backoff_time: '1s' } });
  const maildir = join(spool, 'team');
  const aliases = join(mail.config, 'aliases');
  writeFileSync(aliases, `team ${maildir}/, ${maildir}/./, "|exit 75"\n`);
  mail.run('postfix', ['reload']);
  send(mail, 'team@lab.test');
  await mail.waitForLog(/status=deferred \(temporary failure/);
  writeFileSync(aliases, `team ${maildir}/, ${maildir}/./, "|exit 0"\n`);
  await eventually('the message to leave', () => {
    mail.run('postqueue', ['-f']);
    return /status=sent \(delivered to command/.test(mail.log());
  });
  const delivered = mail.log().match(/status=sent \(delivered to maildir\)/g)?.length ?? 0;
  assert.ok(delivered >= 4, mail.log());
  assert.equal(readdirSync(join(maildir, 'new')).length, 2);
});

test('the delivery after newaliases uses the new alias', { skip: needsRoot }, async (t) => {
  const database = 'hash:$config_directory/aliases';
  const main = { alias_maps: database, alias_database: database, service_processes: '1' };
  const { mail, mailbox } = await start(t, {
    main,
    files: { aliases: `team: ${USER}\n` },
  });
  for (const [round, user] of [USER, OTHER, USER].entries()) {
    writeFileSync(join(mail.config, 'aliases'), `team: ${user}\n`);
    const { status, stderr } = mail.run('newaliases');
    assert.equal(status, 0, stderr);
    send(mail, 'team@lab.test', `Subject: round ${round}\n\n`);
    await eventually('the mail', () => mailbox(user).includes(`Subject: round ${round}`));
  }
  await mail.waitForLog(/local\[\d+\]: table hash:\S+\/aliases has changed -- opened anew/);
  assert.equal(new Set([...mail.log().matchAll(/local\[(\d+)\]/g)].map(([, pid]) => pid)).size, 1);
});

test('with soft_bounce a recipient that is unknown stays in the queue', async (t) => {
  const { mail } = await start(t, { main: { soft_bounce: 'yes' } });
  send(mail, 'no.such.user@lab.test');
  await mail.waitForLog(/dsn=4\.1\.1, status=SOFTBOUNCE \(unknown user: "no\.such\.user"\)/);
  await eventually('the message to wait', () => mail.ids('deferred').length === 1);
});

test('comsat is told where the message starts in the mailbox', { skip: needsRoot }, async (t) => {
  const comsat = createSocket('udp4');
  atEnd(t, () => comsat.close());
  // Mail systems of other tests tell this port too, of other users.
  const user = 'uucp';
  const heard: string[] = [];
  comsat.on('message', (bytes) => {
    const text = bytes.toString('latin1');
    if (text.startsWith(`${user}@`)) heard.push(text);
  });
  const bound = await new Promise((resolve) => {
    comsat.once('error', () => resolve(false));
    comsat.bind({ port: 512, address: '127.0.0.1', exclusive: true }, () => resolve(true));
  });
  if (!bound) return t.skip('somebody else listens on port 512');
  const { mail, mailbox } = await start(t);
  const offsets: number[] = [];
  for (const round of [1, 2]) {
    offsets.push(Buffer.byteLength(mailbox(user)));
    send(mail, `${user}@lab.test`);
    await eventually('word of it', () => heard.length >= round);
  }
  assert.deepEqual(
    heard,
    offsets.map((offset) => `${user}@${offset}\0`),
  );
});

test('a .forward file counts when it is safe', { skip: needsRoot }, async (t) => {
  const { mail, mailbox, forward } = await start(t);
  const path = join(forward, USER);
  writeFileSync(path, `${OTHER}, \\${USER}\n`, { mode: 0o644 });
  chownSync(path, lookupUser(USER)?.uid ?? 0, 0);
  send(mail, `${USER}@lab.test`);
  await mail.waitForLog(/to=<games@lab\.test>, .*forwarded as/);
  await mail.waitForLog(/to=<news@mx\.lab\.test>, orig_to=<games@lab\.test>.*delivered to mailbox/);
  assert.match(mailbox(USER), /body/);
  assert.match(
    mailbox(OTHER),
    /Delivered-To: news@mx.lab\.test\n(?:.*\n)*Delivered-To: games@lab\.test/,
  );
  chmodSync(path, 0o646);
  send(mail, `${USER}@lab.test`, 'Subject: second\n\nx\n');
  await mail.waitForLog(/warning: file .*forward\/games is world writable/);
  await mail.waitUntilEmpty();
  assert.match(mailbox(USER), /Subject: second/);
});

test('mail that has been delivered to its recipient before is returned', {
  skip: needsRoot,
}, async (t) => {
  const { mail, mailbox } = await start(t);
  send(mail, `${USER}@lab.test`, `Delivered-To: GAMES@lab.test\nSubject: x\n\nx\n`);
  await mail.waitForLog(/dsn=5\.4\.6, status=bounced \(mail forwarding loop for games@lab\.test\)/);
  assert.equal(mailbox(USER), '');
});

test('other agents take mailboxes and unknown users over', { skip: needsRoot }, async (t) => {
  const main = {
    mailbox_transport_maps: `inline:{{${OTHER}=discard:by map}}`,
    fallback_transport: 'discard:fallen back',
    local_recipient_maps: '',
  };
  const { mail, mailbox } = await start(t, { main });
  send(mail, `${OTHER}@lab.test`);
  await mail.waitForLog(/to=<news@lab\.test>, relay=none, .*status=sent \(by map\)/);
  send(mail, 'nobody-here@lab.test');
  await mail.waitForLog(/to=<nobody-here@lab\.test>, relay=none, .*status=sent \(fallen back\)/);
  await mail.waitUntilEmpty();
  assert.equal(mailbox(OTHER), '');
});
