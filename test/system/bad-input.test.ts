/**
 * Whatever comes in at a socket, the mail system goes on: the same master, no broken invariant, and
 * the next message is delivered.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sendDatagram } from '../../lib/os/sockets.ts';
import { atEnd } from '../support/cleanup.ts';
import { eventually } from '../support/condition.ts';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';

const skip = process.getuid?.() === 0 ? false : 'a mail system with a postfix user needs root';
const USER = 'games';
/** A server that neither answers nor closes in this time waits for more: that is fine, too. */
const PATIENCE_MS = 300;
const ENDLESS_BYTES = 4 * 1024 * 1024;

/** What a client says before it hangs up. */
const WORDS: readonly (readonly [name: string, bytes: () => Buffer])[] = [
  ['nothing at all', () => Buffer.alloc(0)],
  ['random bytes', () => randomBytes(64 * 1024)],
  ['an endless line', () => Buffer.alloc(ENDLESS_BYTES, 'x')],
  ['zeros', () => Buffer.alloc(64 * 1024)],
  ['half a request', () => Buffer.from('request\0del')],
  ['another protocol', () => Buffer.from('protocol\0nonsense_protocol\0\0request\0none\0\0')],
  ['a request with endless attributes', () => Buffer.from('name\0value\0'.repeat(200_000))],
  ['records that never end', () => Buffer.from('flags\x000\0\0N\xff\xff\xff\xff\x7f', 'latin1')],
];

const SMTP_WORDS: typeof WORDS = [
  ...WORDS,
  ['lines of zeros', () => Buffer.from(`${'\0'.repeat(1000)}\r\n`.repeat(20))],
  ['bare carriage returns', () => Buffer.alloc(64 * 1024, '\r')],
  ['a TLS greeting', () => Buffer.from('1603010200010001fc0303', 'hex')],
  ['a web request', () => Buffer.from('GET / HTTP/1.1\r\nHost: mx\r\n\r\n')],
  ['an endless address', () => Buffer.from(`EHLO x\r\nMAIL FROM:<${'a'.repeat(ENDLESS_BYTES)}`)],
  ['a thousand commands at once', () => Buffer.from('NOOP\r\n'.repeat(1000))],
  ['half a message', () => smtp(`DATA\r\nSubject: half\r\n\r\nsome text`)],
  ['a message of one line', () => smtp(`DATA\r\n${'x'.repeat(ENDLESS_BYTES)}\r\n.\r\n`)],
  ['a header that never ends', () => smtp(`DATA\r\nTo: ${'a@b,\r\n '.repeat(100_000)}`)],
  ['random content', () => Buffer.concat([smtp('DATA\r\n'), randomBytes(1024 * 1024)])],
];

function smtp(text: string): Buffer {
  return Buffer.from(`EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<${USER}@lab.test>\r\n${text}`);
}

type Place = { readonly path: string } | { readonly port: number; readonly host: string };

async function arrange(t: TestContext): Promise<MailSystem> {
  const mail = await startMailSystem(t, {
    main: { mail_spool_directory: '$config_directory/../mail/', home_mailbox: '' },
    mailDirectory: true,
  });
  await delivers(mail);
  return mail;
}

/** A message sent now arrives. */
async function delivers(mail: MailSystem): Promise<void> {
  const subject = `message ${mail.maildir(`mail/${USER}`).length + 1}`;
  await mail.send({ from: `${USER}@lab.test`, to: [`${USER}@lab.test`], subject });
  const arrived = () =>
    mail.maildir(`mail/${USER}`).some((text) => text.includes(`Subject: ${subject}\n`));
  await eventually(`"${subject}" in the mailbox`, arrived);
}

/** No process of ours broke, and nobody had to be started again. */
function checkHealth(mail: MailSystem, master: number): void {
  assert.equal(mail.masterPid(), master);
  const broken = mail
    .log()
    .match(/^.*(?:panic: |fatal: |bad command startup|exit status|killed by).*$/gm);
  assert.deepEqual(broken ?? [], []);
}

test('whatever is said to its sockets, the mail system goes on', { skip }, async (t) => {
  const mail = await arrange(t);
  const master = mail.masterPid();
  const sockets = ['public', 'private'].flatMap((folder) =>
    readdirSync(join(mail.queue, folder)).map((name) => join(mail.queue, folder, name)),
  );
  assert.ok(sockets.length > 20);
  for (const path of sockets.filter((path) => statSync(path).isSocket())) {
    await Promise.all(WORDS.map(([, bytes]) => say({ path }, bytes())));
    // These stay until the end.
    connectSilently(t, { path });
    connectSilently(t, { path });
  }
  for (const [, bytes] of WORDS)
    sendDatagram(join(mail.queue, 'public/postlog'), bytes().subarray(0, 60_000));
  await delivers(mail);
  assert.equal(mail.run('postqueue', ['-p']).stdout, 'Mail queue is empty\n');
  checkHealth(mail, master);
});

test('whatever is said to its SMTP port, the mail system goes on', { skip }, async (t) => {
  const mail = await arrange(t);
  const master = mail.masterPid();
  for (let client = 0; client < 20; client += 1)
    connectSilently(t, { port: mail.port, host: '127.0.0.1' });
  for (const [name, bytes] of SMTP_WORDS) {
    await say({ port: mail.port, host: '127.0.0.1' }, bytes());
    assert.equal(mail.masterPid(), master, name);
  }
  await delivers(mail);
  // What was begun and not finished goes with its client.
  await mail.waitUntilEmpty();
  checkHealth(mail, master);
});

/** Says it, waits for the end of what the other side says to it, or a moment, and hangs up. */
function say(to: Place, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect(to);
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.resume();
    socket.write(bytes);
  });
}

/** Someone who connects and says nothing. */
function connectSilently(t: TestContext, to: Place): void {
  const socket = connect(to);
  socket.on('error', () => {});
  socket.resume();
  atEnd(t, () => socket.destroy());
}
