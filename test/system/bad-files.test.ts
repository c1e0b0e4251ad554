/**
 * Whatever lies in the queue's directories, the mail system starts, goes on, and delivers the mail
 * that is whole; what is damaged is put aside, and nothing of it is delivered.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { formatRecord } from '../../lib/queue/record.ts';
import { eventually } from '../support/condition.ts';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { type SmtpPeer, startSmtpPeer } from '../support/smtp-peer.ts';

const skip = process.getuid?.() === 0 ? false : 'a mail system with a postfix user needs root';
const FROM = 'games@lab.test';
const LAST_LINE = 'the last line';
const HUGE_BYTES = 2 ** 27;
const READY = 0o700;

interface BadFile {
  readonly name: string;
  /** What is in it, made of a whole file. */
  readonly bytes?: (whole: Buffer) => Buffer;
  /** Zeros follow up to there. */
  readonly sizeBytes?: number;
  readonly mode?: number;
  readonly owner?: 'root';
  /** What is no plain file. */
  readonly make?: (path: string) => void;
  /** It is no message, or none yet: it stays where it is. */
  readonly stays?: boolean;
}

const BAD: readonly BadFile[] = [
  { name: 'empty', bytes: () => Buffer.alloc(0) },
  { name: 'random', bytes: () => randomBytes(4096) },
  { name: 'zeros', bytes: () => Buffer.alloc(4096) },
  { name: 'cut in the envelope', bytes: (whole) => whole.subarray(0, 100) },
  { name: 'cut in the content', bytes: (whole) => whole.subarray(0, whole.indexOf(LAST_LINE)) },
  { name: 'without its end', bytes: (whole) => whole.subarray(0, -2) },
  { name: 'a size record that lies', bytes: (whole) => overwritten(whole, 2, '9') },
  { name: 'a record longer than the file', bytes: (whole) => cutWith(whole, 'N\xff\xff\xff\x7f') },
  { name: 'a length that never ends', bytes: (whole) => cutWith(whole, '\xff'.repeat(100)) },
  { name: 'a pointer to itself', bytes: () => formatRecord('p', '0'.padStart(15)) },
  { name: 'a pointer out of the file', bytes: () => formatRecord('p', '999999999'.padStart(15)) },
  { name: 'huge', bytes: (whole) => whole.subarray(0, 100), sizeBytes: HUGE_BYTES },
  { name: 'huge text', bytes: () => formatRecord('N', 'x'.repeat(1e5)), sizeBytes: HUGE_BYTES },
  { name: 'not complete yet', bytes: (whole) => whole, mode: 0o600, stays: true },
  { name: "root's own", bytes: (whole) => whole, owner: 'root' },
  { name: 'a link', make: (path) => symlinkSync('/etc/passwd', path), stays: true },
  { name: 'a link to nothing', make: (path) => symlinkSync('/nothing/there', path) },
  { name: 'a directory', make: (path) => mkdirSync(path) },
  { name: 'a pipe', make: (path) => spawnSync('mkfifo', [path]) },
  { name: 'whole', bytes: (whole) => whole },
];

/** Only root could make these in place of a log. */
const UNLIKELY = ['a pipe', 'a directory'];
const ODD_NAMES = [
  '.hidden',
  'not an id',
  '-rf',
  'x'.repeat(200),
  'ABC',
  'p\u00e9ch\u00e9',
  '#FIX',
];
const QUEUES = ['incoming', 'active', 'deferred', 'maildrop', 'hold', 'bounce', 'defer', 'trace'];

const IN_MOTION = ['incoming', 'active', 'deferred'];

function overwritten(whole: Buffer, offset: number, text: string): Buffer {
  const bytes = Buffer.from(whole);
  bytes.write(text, offset, 'latin1');
  return bytes;
}

function cutWith(whole: Buffer, text: string): Buffer {
  return Buffer.concat([whole.subarray(0, 100), Buffer.from(text, 'latin1')]);
}

interface Scene {
  readonly mail: MailSystem;
  readonly peer: SmtpPeer;
  readonly send: (subject: string) => Promise<string>;
  accept(): void;
}

async function arrange(t: TestContext): Promise<Scene> {
  let accepting = false;
  const peer = await startSmtpPeer(t, {
    RCPT: () => (accepting ? '250 2.1.5 Ok' : '450 4.7.1 come back later'),
  });
  const mail = await startMailSystem(t, { main: { relayhost: `[127.0.0.1]:${peer.port}` } });
  const message = { from: FROM, to: ['friend@far.test'], body: LAST_LINE };
  const send = (subject: string) => mail.send({ ...message, subject });
  return {
    mail,
    peer,
    send,
    accept() {
      accepting = true;
    },
  };
}

/** A message that waits; returns its id. */
async function defer({ mail, send }: Scene, subject: string): Promise<string> {
  const before = new Set(mail.ids('deferred'));
  await send(subject);
  return await eventually(
    'a deferred message',
    () => mail.ids('active').length === 0 && mail.ids('deferred').find((id) => !before.has(id)),
  );
}

test('damaged files in the queue are put aside, and the rest is delivered', { skip }, async (t) => {
  const scene = await arrange(t);
  const { mail, peer, send, accept } = scene;
  const sample = await defer(scene, 'sample');
  const path = join(mail.queue, 'deferred', sample.charAt(0), sample);
  const whole = readFileSync(path);
  mail.run('postsuper', ['-d', sample]);
  mail.stop();
  const owner = ownerOf(mail);
  const kinds = new Map<string, string>();
  for (const queue of QUEUES) {
    const hashed = queue === 'deferred' || queue === 'defer';
    for (const bad of BAD) {
      const serial = kinds.size + 1;
      const id = `${(serial % 16).toString(16).toUpperCase()}BAD${serial.toString().padStart(6, '0')}`;
      kinds.set(id, bad.name);
      place(join(mail.queue, queue, hashed ? id.charAt(0) : '', id), bad, whole, owner);
    }
  }
  for (const queue of ['incoming', 'maildrop', 'deferred']) {
    for (const name of ODD_NAMES)
      writeFileSync(join(mail.queue, queue, name), whole, { mode: READY });
  }
  accept();
  mail.start();
  const master = mail.masterPid();
  await send('between');
  await eventually('mail to go on', () => subjectsAt(peer).includes('between'));
  mail.run('postqueue', ['-f']);
  const staying = BAD.filter(({ stays }) => stays).map(({ name }) => name);
  const left = () =>
    IN_MOTION.flatMap((queue) => mail.ids(queue)).flatMap((id) => kinds.get(id) ?? []);
  const expected = IN_MOTION.flatMap(() => staying).sort();
  await eventually('the end of all attempts', () => left().length <= expected.length).catch(
    () => {},
  );
  assert.deepEqual(left().sort(), expected);
  for (const flag of ['-p', '-j']) assert.equal(mail.run('postqueue', [flag]).status, 0, flag);
  await send('after');
  await eventually('mail to go on', () => subjectsAt(peer).includes('after'));
  for (const { content } of peer.messages) assert.match(content, new RegExp(`${LAST_LINE}\r\n$`));
  assert.equal(mail.masterPid(), master);
  assert.deepEqual(mail.log().match(/^.*(?:panic: |fatal: |exit status|killed by).*$/gm) ?? [], []);
});

test('damaged logs of deferred mail do not keep it from being listed and delivered', {
  skip,
}, async (t) => {
  const scene = await arrange(t);
  const { mail, peer, accept } = scene;
  const owner = ownerOf(mail);
  const waiting: string[] = [];
  for (const bad of BAD.filter(({ name }) => !UNLIKELY.includes(name))) {
    const id = await defer(scene, bad.name);
    const log = join(mail.queue, 'defer', id.charAt(0), id);
    const good = readFileSync(log);
    rmSync(log);
    place(log, bad, good, owner);
    waiting.push(id);
  }
  const listing = mail.run('postqueue', ['-p']);
  assert.equal(listing.status, 0, listing.stderr);
  for (const id of waiting) assert.match(listing.stdout, new RegExp(`^${id} `, 'm'));
  accept();
  mail.run('postqueue', ['-f']);
  await mail.waitUntilEmpty();
  assert.equal(peer.messages.length, waiting.length);
  assert.deepEqual(mail.log().match(/^.*(?:panic: |fatal: |exit status|killed by).*$/gm) ?? [], []);
});

function place(path: string, bad: BadFile, whole: Buffer, mailOwner: Owner): void {
  const folder = mkdirSync(dirname(path), { recursive: true });
  if (folder !== undefined) chownSync(folder, mailOwner.uid, 0);
  const { bytes, make, mode, sizeBytes, owner } = bad;
  make?.(path);
  if (bytes === undefined) return;
  writeFileSync(path, bytes(whole));
  if (sizeBytes !== undefined) truncateSync(path, sizeBytes);
  chmodSync(path, mode ?? READY);
  if (owner !== 'root') chownSync(path, mailOwner.uid, mailOwner.gid);
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** mail_owner, as cleanup's files have it. */
function ownerOf(mail: MailSystem): Owner {
  const { uid } = statSync(join(mail.queue, 'incoming'));
  return { uid, gid: uid };
}

function subjectsAt(peer: SmtpPeer): string[] {
  return peer.messages.map(({ content }) => /^Subject: (.*)\r$/m.exec(content)?.[1] ?? '');
}
