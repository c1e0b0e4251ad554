/**
 * Debian's master.cf has most daemons work inside the queue directory, where there is no /etc, no
 * library and nothing of ours: whatever they need later they must have before.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../support/condition.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { converse } from '../support/smtp-client.ts';
import { startSmtpPeer } from '../support/smtp-peer.ts';
import { troubleIn } from './log-trouble.ts';
import { processesOf } from './processes.ts';

const skip = process.getuid?.() === 0 ? false : 'chroot(2) needs root';
const BOX = 'games';
const FROM = `${BOX}@lab.test`;

/** As Debian has it, on a port of ours. */
const DEBIAN = readFileSync('test/data/master-cf/debian', 'utf8')
  .replace(/^#.*\n/gm, '')
  .replace(/^smtp +inet/m, '127.0.0.1:0 inet')
  .trimEnd()
  .split('\n');

/** Daemons that Debian puts into the queue directory, as far as we have them. */
const INSIDE = [
  'smtpd',
  'pickup',
  'cleanup',
  'trivial-rewrite',
  'bounce',
  'smtp',
  'flush',
  'showq',
];

test("mail flows with Debian's master.cf, inside an empty root directory", { skip }, async (t) => {
  const peer = await startSmtpPeer(t, {
    RCPT: (argument) => {
      if (argument.includes('gone')) return '550 5.1.1 nobody of that name';
      return argument.includes('later') ? '450 4.7.1 come back later' : '250 2.1.5 Ok';
    },
  });
  const dns = await startDnsServer(t, { 'mx.far.test': { A: ['127.0.0.1'] } });
  const mail = await startMailSystem(t, {
    only: DEBIAN,
    mailDirectory: true,
    main: {
      mail_spool_directory: '$config_directory/../mail/',
      home_mailbox: '',
      dns_nameservers: dns.nameserver,
      smtp_host_lookup: 'dns, native',
      smtp_dns_support_level: 'enabled',
      transport_maps: 'texthash:$config_directory/transport',
      virtual_alias_maps: 'hash:$config_directory/virtual',
      header_checks: 'regexp:$config_directory/header_checks',
      body_checks: 'pcre:$config_directory/body_checks',
      fast_flush_domains: 'far.test',
      relay_domains: 'far.test',
      authorized_submit_users: 'root',
    },
    files: {
      aliases: `postmaster root\nteam ${BOX}\n`,
      transport: `far.test smtp:[mx.far.test]:${peer.port}\nnear.test relay:[localhost]:${peer.port}\n`,
      virtual: `info@lab.test ${BOX}@lab.test\n`,
      header_checks: '/^X-Test: first/ PREPEND X-Seen: header\n',
      body_checks: '/^secret\\s+line$/ REPLACE shown\n',
    },
    stopped: true,
  });
  assert.equal(mail.run('postmap', ['-c', mail.config, `hash:${mail.config}/virtual`]).status, 0);
  mail.start();
  const inbox = () => mail.maildir(`mail/${BOX}`);
  const inboxHas = (subject: string) =>
    eventually(`"${subject}" in the mailbox`, () =>
      inbox().find((text) => text.includes(`Subject: ${subject}\n`)),
    );

  await mail.send({ from: FROM, to: [FROM], subject: 'to a user' });
  await mail.send({ from: FROM, to: ['team@lab.test'], subject: 'to an alias' });
  await mail.send({
    from: FROM,
    to: ['info@lab.test'],
    subject: 'to a virtual alias',
    body: 'X\r\nsecret   line',
  });
  const unknown = ['EHLO x', `MAIL FROM:<${FROM}>`, 'RCPT TO:<nosuchuser@lab.test>', 'QUIT'];
  assert.match((await converse(mail.port, unknown))[3] ?? '', /^550 5\.1\.1 .* User unknown/);
  const sent = mail.run(
    'sendmail',
    ['-C', mail.config, '-f', FROM, FROM],
    'X-Test: first\nSubject: by sendmail\n\nhello\n',
  );
  assert.equal(sent.status, 0, sent.stderr);
  for (const to of ['friend@far.test', 'friend@near.test', 'gone@far.test', 'later@far.test']) {
    await mail.send({ from: FROM, to: [to], subject: `to ${to}` });
  }
  for (const subject of ['to a user', 'to an alias', 'Undelivered Mail Returned to Sender'])
    await inboxHas(subject);
  assert.match(await inboxHas('to a virtual alias'), /\n\nX\nshown\n$/);
  assert.match(await inboxHas('by sendmail'), /^X-Seen: header$/m);
  const relayed = await peer.waitForMessages(2);
  assert.deepEqual(relayed.flatMap(({ recipients }) => recipients).sort(), [
    'friend@far.test',
    'friend@near.test',
  ]);
  assert.match(mail.run('postqueue', ['-p']).stdout, /^ +later@far\.test$/m);
  assert.equal(mail.run('postqueue', ['-s', 'far.test']).status, 0);
  await checkRoots(mail);

  // New processes after these have gone, and a table that has changed meanwhile.
  writeFileSync(join(mail.config, 'transport'), `far.test smtp:[127.0.0.1]:${peer.port}\n`);
  const smtpds = () => processesOf(mail).filter(({ name }) => name === 'smtpd');
  const old = new Set(smtpds().map(({ pid }) => pid));
  assert.equal(mail.run('postfix', ['reload']).status, 0);
  await eventually('the end of the old ones', () => !smtpds().some(({ pid }) => old.has(pid)));
  await mail.send({ from: FROM, to: ['again@far.test'], subject: 'again' });
  await peer.waitForMessages(3);
  assert.deepEqual(troubleIn(mail.log()), []);
  assert.ok(!existsSync(join(mail.queue, 'etc')), 'nothing was copied into the queue');
});

/** Who is to be inside is inside, or on the way there. */
async function checkRoots(mail: MailSystem): Promise<void> {
  const processes = processesOf(mail).filter(({ name }) => INSIDE.includes(name));
  assert.ok(processes.length >= 5, processes.map(({ name }) => name).join(' '));
  for (const { name, pid } of processes) {
    await eventually(`${name} inside`, () => readlinkSync(`/proc/${pid}/root`) === mail.queue);
  }
}
