import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { appendToMailbox, type MailboxDelivery } from '../../../lib/delivery/mailbox.ts';
import { withEffectiveUser } from '../../../lib/os/identity.ts';
import { flock } from '../../../lib/os/locks.ts';
import { needsRoot, scratchDirectory } from '../os/scratch.ts';
import { messageFile, openForTest } from './message-file.ts';

const UID = process.getuid?.() ?? 0;
const LINES = ['Subject: x', '', 'body', 'From here', '>From there', 'last'];
const STORED =
  'From ann  Mon Nov  2 03:04:05 2026\nSubject: x\n\nbody\n>From here\n>From there\nlast\n\n';

function setUp(t: TestContext, more: Partial<MailboxDelivery> = {}) {
  const directory = scratchDirectory(t);
  chmodSync(directory, 0o777);
  const path = join(directory, 'mailbox');
  const delivery: MailboxDelivery = {
    path,
    message: messageFile(t, directory, LINES).source,
    prepended: 'From ann  Mon Nov  2 03:04:05 2026\n',
    locks: { fcntl: true, flock: true, dotlock: true },
    staleLockSeconds: 500,
    limitBytes: 0,
    ...more,
  };
  return { directory, path, delivery };
}

test('a mailbox is made, and appended to', (t) => {
  const { path, delivery } = setUp(t);
  assert.deepEqual(appendToMailbox(delivery), { kind: 'delivered', offset: 0 });
  assert.equal(readFileSync(path, 'utf8'), STORED);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(appendToMailbox(delivery), {
    kind: 'delivered',
    offset: Buffer.byteLength(STORED),
  });
  assert.equal(readFileSync(path, 'utf8'), STORED + STORED);
  assert.equal(existsSync(`${path}.lock`), false);
});

test('a message of many pieces is stored whole', (t) => {
  const { directory, path, delivery } = setUp(t);
  const lines = Array.from({ length: 30_000 }, (_, at) =>
    at % 7 === 0 ? `From ${at}` : `line ${at}`,
  );
  const { source } = messageFile(t, directory, lines);
  assert.deepEqual(appendToMailbox({ ...delivery, message: source, prepended: '' }), {
    kind: 'delivered',
    offset: 0,
  });
  const stored = lines.map((line) => `${line.replace(/^From /, '>From ')}\n`).join('');
  assert.equal(readFileSync(path, 'utf8'), `${stored}\n`);
});

test('a full mailbox is left as it was', (t) => {
  const { path, delivery } = setUp(t, { limitBytes: STORED.length + 10 });
  assert.deepEqual(appendToMailbox(delivery), { kind: 'delivered', offset: 0 });
  assert.deepEqual(appendToMailbox(delivery), {
    kind: 'failed',
    status: '5.2.2',
    text: 'error writing message: File too large',
  });
  assert.equal(readFileSync(path, 'utf8'), STORED);
});

test('a damaged queue file leaves the mailbox as it was', (t) => {
  const { directory, path, delivery } = setUp(t);
  writeFileSync(path, 'old\n');
  const { source } = messageFile(t, directory, LINES);
  const cut = { ...source, sizeBytes: source.sizeBytes - 4 };
  const result = appendToMailbox({ ...delivery, message: cut });
  assert.equal(result.kind, 'failed');
  assert.ok('corrupt' in result && result.status === '4.3.0');
  assert.equal(readFileSync(path, 'utf8'), 'old\n');
});

test('a fresh dot lock is waited for; a stale one is removed', (t) => {
  const { path, delivery } = setUp(t);
  writeFileSync(`${path}.lock`, '');
  const busy = { kind: 'busy', text: `unable to create lock file ${path}.lock: File exists` };
  assert.deepEqual(appendToMailbox(delivery), busy);
  assert.equal(existsSync(path), false);
  utimesSync(`${path}.lock`, 0, 0);
  assert.deepEqual(appendToMailbox(delivery), busy, 'a new name for an old time');
  assert.deepEqual(appendToMailbox({ ...delivery, staleLockSeconds: -1 }), {
    kind: 'delivered',
    offset: 0,
  });
  assert.equal(existsSync(`${path}.lock`), false);
});

test('a kernel lock is waited for', (t) => {
  const { path, delivery } = setUp(t);
  writeFileSync(path, '');
  const fd = openForTest(t, path, 'r+');
  flock(fd, 'exclusive');
  assert.deepEqual(appendToMailbox(delivery), {
    kind: 'busy',
    text: 'unable to lock for exclusive access: Resource temporarily unavailable',
  });
  assert.equal(existsSync(`${path}.lock`), false);
  flock(fd, 'unlock');
  assert.deepEqual(appendToMailbox(delivery), { kind: 'delivered', offset: 0 });
});

test('a file that is not locked away may be no mailbox: /dev/null takes mail', (t) => {
  const { delivery } = setUp(t, { path: '/dev/null' });
  assert.deepEqual(appendToMailbox(delivery), { kind: 'delivered', offset: 0 });
  assert.deepEqual(appendToMailbox({ ...delivery, mailboxOf: { uid: UID, strict: true } }), {
    kind: 'failed',
    status: '5.2.0',
    text: 'destination /dev/null is not a regular file',
  });
});

const failed = (status: string, text: string) => ({ kind: 'failed', status, text });

test('what is not a mailbox is refused, and not written to', (t) => {
  const { directory, path, delivery } = setUp(t);
  writeFileSync(path, '');
  chmodSync(path, 0o700);
  assert.deepEqual(appendToMailbox(delivery), failed('5.7.1', 'file is executable'));
  chmodSync(path, 0o600);
  linkSync(path, join(directory, 'second'));
  assert.deepEqual(appendToMailbox(delivery), failed('5.2.0', 'file has 2 hard links'));
  assert.equal(readFileSync(path, 'utf8'), '');
  const inDirectory = { ...delivery, path: directory };
  assert.deepEqual(
    appendToMailbox(inDirectory),
    failed('5.2.0', 'cannot open file: Is a directory'),
  );
  const missing = { ...delivery, path: join(directory, 'no/mailbox') };
  assert.match(JSON.stringify(appendToMailbox(missing)), /5\.2\.0.*No such file or directory/);
});

test('a mailbox of somebody else waits for the administrator', { skip: needsRoot }, (t) => {
  const { path, delivery } = setUp(t, { mailboxOf: { uid: 12345, strict: true } });
  writeFileSync(path, '');
  assert.deepEqual(appendToMailbox(delivery), {
    ...failed('4.2.0', `destination ${path} is not owned by recipient`),
    warnings: ['specify "strict_mailbox_ownership = no" to ignore mailbox ownership mismatch'],
  });
  const lax = { ...delivery, mailboxOf: { uid: 12345, strict: false } };
  assert.deepEqual(appendToMailbox(lax), { kind: 'delivered', offset: 0 });
});

test('root makes a new mailbox for its owner', { skip: needsRoot }, (t) => {
  const { path, delivery } = setUp(t, { owner: { uid: 12345, gid: 12346 } });
  assert.deepEqual(appendToMailbox(delivery), { kind: 'delivered', offset: 0 });
  const { uid, gid, mode } = statSync(path);
  assert.deepEqual([uid, gid, mode & 0o777], [12345, 12346, 0o600]);
});

test('a dot lock that cannot be made is an error, or a warning', { skip: needsRoot }, (t) => {
  const { directory, path, delivery } = setUp(t);
  writeFileSync(path, '');
  chmodSync(path, 0o666);
  chmodSync(directory, 0o755);
  const user = { uid: 12345, gid: 12346, groups: [] };
  const text = `unable to create lock file ${path}.lock: Permission denied`;
  const as = (given: MailboxDelivery) => withEffectiveUser(user, () => appendToMailbox(given));
  assert.deepEqual(as(delivery), failed('5.2.0', text));
  assert.deepEqual(as({ ...delivery, dotlockMayFail: true }), {
    kind: 'delivered',
    offset: 0,
    warnings: [text],
  });
});

test('a symbolic link of a user leads nowhere, even for root', { skip: needsRoot }, (t) => {
  const { directory, path, delivery } = setUp(t);
  const victim = join(directory, 'victim');
  writeFileSync(victim, 'precious\n');
  withEffectiveUser({ uid: 12345, gid: 12346, groups: [] }, () => symlinkSync(victim, path));
  assert.deepEqual(appendToMailbox(delivery), failed('5.2.0', 'file is a symbolic link'));
  assert.equal(readFileSync(victim, 'utf8'), 'precious\n');
});

test('a dangling symbolic link does not make the file it names', { skip: needsRoot }, (t) => {
  const { directory, path, delivery } = setUp(t);
  symlinkSync(join(directory, 'not-there'), path);
  const result = appendToMailbox(delivery);
  assert.equal(result.kind, 'failed');
  assert.equal(existsSync(join(directory, 'not-there')), false);
});

test("root's own link is followed, where only root can make one", { skip: needsRoot }, (t) => {
  const { directory, path, delivery } = setUp(t);
  const elsewhere = join(directory, 'elsewhere');
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, 'mailbox'), '');
  symlinkSync(join(elsewhere, 'mailbox'), path);
  assert.match(JSON.stringify(appendToMailbox(delivery)), /directory that others can write to/);
  chmodSync(directory, 0o755);
  chownSync(directory, 0, 0);
  assert.deepEqual(appendToMailbox(delivery), { kind: 'delivered', offset: 0 });
  assert.equal(readFileSync(join(elsewhere, 'mailbox'), 'utf8'), STORED);
});
