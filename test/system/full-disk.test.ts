/**
 * The disk is full: whoever brings mail is asked to come back later, nothing half-written stays,
 * and what was accepted before is kept, until there is space again.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { atEnd } from '../support/cleanup.ts';
import { eventually } from '../support/condition.ts';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { converse } from '../support/smtp-client.ts';
import { type SmtpPeer, startSmtpPeer } from '../support/smtp-peer.ts';
import { waitUntilGone } from './processes.ts';

const FROM = 'games@lab.test';
const EX_TEMPFAIL = 75;
const BLOCK_BYTES = 4096;
const CAP_SYS_ADMIN = 21n;

/** Ways for a disk to be full. */
const FULL: readonly {
  readonly name: string;
  readonly reply: RegExp;
  fill(folder: string): void;
}[] = [
  {
    name: 'without a free block',
    reply: /^452 4\.3\.1 Insufficient system storage$/,
    fill: (folder) => fillBlocks(folder, 0),
  },
  {
    name: 'with one free block',
    reply: /^451 4\.3\.0 Error: queue file write error$/,
    fill: (folder) => fillBlocks(folder, 1),
  },
  { name: 'without a free inode', reply: /^451 4\.3\.0 /, fill: fillInodes },
];

for (const { name, reply, fill } of FULL) {
  test(`a disk ${name} delays mail, and loses none`, { skip: whyNoMount() }, async (t) => {
    let open = false;
    const peer = await startSmtpPeer(t, {
      RCPT: (argument) => {
        if (!open) return '450 4.7.1 come back later';
        return argument.includes('gone') ? '550 5.1.1 nobody of that name' : '250 2.1.5 Ok';
      },
    });
    const mail = await startOnSmallDisk(t, peer);
    await mail.send({ from: FROM, to: ['friend@far.test'], subject: 'accepted' });
    await mail.send({ from: FROM, to: ['gone@far.test'], subject: 'to nobody' });
    await eventually('deferred mail', () => mail.ids('deferred').length === 2);
    const accepted = mail.ids('deferred').sort();

    const ballast = join(mail.queue, 'ballast');
    mkdirSync(ballast);
    fill(ballast);
    open = true;
    // smtpd looks at the free space once a second.
    await eventually(String(reply), async () => reply.test(await refusal(mail)));
    for (const user of ['root', 'nobody']) {
      const { status, stderr } = submit(mail, user);
      assert.equal(status, EX_TEMPFAIL, `${user}: ${stderr}`);
      assert.match(stderr, /^sendmail: fatal: .*\n/);
    }
    // Each attempt frees some space, and wants some: nobody knows how far it gets.
    assert.equal(mail.run('postqueue', ['-f']).status, 0);
    await peer.waitForMessages(1);
    await peer.waitFor(() => peer.commands.some((line) => /^RCPT TO:<gone/.test(line)));
    await eventually('the end of the attempts', () => mail.ids('active').length === 0);
    for (const queue of ['maildrop', 'incoming']) assert.deepEqual(mail.ids(queue), []);
    assert.deepEqual(
      mail.ids('deferred').filter((id) => !accepted.includes(id)),
      [],
    );

    rmSync(ballast, { recursive: true });
    const later = { from: FROM, to: ['friend@far.test'], subject: 'after' };
    const sent = () =>
      mail
        .send(later)
        .then(() => true)
        .catch(() => false);
    await eventually('smtpd to see the space', sent);
    assert.equal(submit(mail, 'nobody').status, 0);
    assert.equal(mail.run('postqueue', ['-f']).status, 0);
    await mail.waitUntilEmpty();
    const subjects = peer.messages.map(({ content }) => /^Subject: (.*)\r$/m.exec(content)?.[1]);
    assert.deepEqual(subjects.sort(), ['accepted', 'after', 'by sendmail']);
    const [report = '', ...others] = mail.maildir('mail/games');
    assert.match(report, /^Diagnostic-Code: smtp; 550 5\.1\.1 nobody of that name$/m);
    assert.deepEqual(others, []);
    assert.doesNotMatch(mail.log(), /panic/);
    await mail.waitForLog(/No space left on device|not enough free space in mail queue/);
  });
}

for (const blocks of [0, 1]) {
  const title = `sendmail leaves nothing behind while the system is down and ${blocks} blocks are free`;
  test(title, { skip: whyNoMount() }, async (t) => {
    const mail = await startOnSmallDisk(t, await startSmtpPeer(t));
    mail.stop();
    const ballast = join(mail.queue, 'ballast');
    mkdirSync(ballast);
    fillBlocks(ballast, blocks);
    const { status, stderr } = submit(mail, 'root');
    assert.equal(status, EX_TEMPFAIL);
    assert.match(stderr, /No space left on device/);
    assert.deepEqual(readdirSync(join(mail.queue, 'maildrop')), []);
  });
}

/** An instance whose queue is on a file system of its own. */
async function startOnSmallDisk(t: TestContext, peer: SmtpPeer): Promise<MailSystem> {
  const mail = await startMailSystem(t, {
    stopped: true,
    mailDirectory: true,
    main: {
      relayhost: `[127.0.0.1]:${peer.port}`,
      mail_spool_directory: '$config_directory/../mail/',
      home_mailbox: '',
      message_size_limit: '0',
      mailbox_size_limit: '0',
    },
  });
  const options = 'size=4m,nr_inodes=300,mode=755';
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', mail.queue]);
  assert.equal(mounted.status, 0, String(mounted.stderr));
  atEnd(t, async () => {
    mail.stop();
    await waitUntilGone(mail);
    spawnSync('umount', [mail.queue]);
  });
  mail.start();
  return mail;
}

/** Where a file system can be mounted: not in every container. */
function whyNoMount(): string | false {
  const capabilities = /^CapEff:\s+(\w+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  const mayMount = ((BigInt(`0x${capabilities ?? '0'}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
  return process.getuid?.() === 0 && mayMount ? false : 'mounting a file system needs root';
}

/** The first reply that is no success. */
async function refusal(mail: MailSystem): Promise<string> {
  const content = `Subject: too much\r\n\r\n${'0123456789\r\n'.repeat(5000)}.`;
  const envelope = ['EHLO client.test', `MAIL FROM:<${FROM}>`, 'RCPT TO:<friend@far.test>'];
  const replies = await converse(mail.port, [...envelope, 'DATA', content, 'QUIT']);
  return replies.find((reply) => /^[45]/.test(reply)) ?? '';
}

function submit(mail: MailSystem, user: string): { status: number | null; stderr: string } {
  const sendmail = join(process.cwd(), 'build/bin/sendmail');
  const args = ['-u', user, '--', sendmail, '-C', mail.config, '-f', FROM, 'friend@far.test'];
  const input = `Subject: by sendmail\n\n${'0123456789\n'.repeat(5000)}`;
  return spawnSync('runuser', args, { input, encoding: 'utf8' });
}

/** Leaves so many blocks free. */
function fillBlocks(folder: string, left: number): void {
  const { bfree } = statfsSync(folder);
  const fd = openSync(join(folder, 'blocks'), 'w');
  for (let block = 0; block < bfree - left; block += 1) writeSync(fd, Buffer.alloc(BLOCK_BYTES));
  closeSync(fd);
}

function fillInodes(folder: string): void {
  for (let { ffree } = statfsSync(folder); ffree > 0; ffree -= 1) {
    writeFileSync(join(folder, `inode-${ffree}`), '');
  }
}
