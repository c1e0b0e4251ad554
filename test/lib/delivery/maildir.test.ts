import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  fstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  deliverToMaildir,
  type MaildirDelivery,
  type Occasion,
} from '../../../lib/delivery/maildir.ts';
import { withEffectiveUser } from '../../../lib/os/identity.ts';
import { needsRoot, scratchDirectory } from '../os/scratch.ts';
import { messageFile } from './message-file.ts';

const LINES = ['Subject: x', '', 'From here', 'last'];
const STORED = 'Return-Path: <ann>\nSubject: x\n\nFrom here\nlast\n';

function setUp(t: TestContext) {
  const directory = scratchDirectory(t);
  const path = join(directory, 'Maildir/');
  const delivery: MaildirDelivery = {
    path,
    message: messageFile(t, directory, LINES).source,
    prepended: 'Return-Path: <ann>\n',
    limitBytes: 0,
  };
  return { directory, path, delivery };
}

test('a Maildir is made, and gets a message under a name like those of Postfix', (t) => {
  const { path, delivery } = setUp(t);
  assert.deepEqual(deliverToMaildir(delivery), { kind: 'delivered' });
  const [name = '', ...others] = readdirSync(join(path, 'new'));
  assert.deepEqual(others, []);
  const file = join(path, 'new', name);
  assert.equal(readFileSync(file, 'utf8'), STORED);
  const { dev, ino, mode, nlink } = statSync(file);
  const inode = `V${dev.toString(16)}I${ino.toString(16)}M`;
  assert.match(name, new RegExp(`^\\d{10}\\.${inode}\\d{1,6}\\.${hostname()}$`));
  assert.deepEqual([mode & 0o777, nlink], [0o600, 1]);
  assert.deepEqual(readdirSync(join(path, 'tmp')), []);
  for (const each of ['', 'new', 'cur', 'tmp']) {
    assert.equal(statSync(join(path, each)).mode & 0o777, 0o700, each);
  }
});

test('many messages get many names', (t) => {
  const { path, delivery } = setUp(t);
  for (let count = 0; count < 50; count += 1) deliverToMaildir(delivery);
  assert.equal(readdirSync(join(path, 'new')).length, 50);
});

const OCCASION: Occasion = {
  arrival: { seconds: 1_700_000_000, microseconds: 77 },
  recipient: 512,
  count: 0,
};

test('a delivery that is repeated finds what it has delivered', (t) => {
  const { path, delivery } = setUp(t);
  const first = { ...delivery, occasion: OCCASION };
  assert.deepEqual(deliverToMaildir(first), { kind: 'delivered' });
  const [name = ''] = readdirSync(join(path, 'new'));
  const { dev, ino } = fstatSync(delivery.message.fd);
  const inode = `V${dev.toString(16)}I${ino.toString(16)}`;
  assert.equal(name, `1700000000.${inode}M77R512Q0.${hostname()}`);
  assert.deepEqual(deliverToMaildir(first), { kind: 'delivered' });
  assert.deepEqual(readdirSync(join(path, 'new')), [name]);
  assert.equal(readFileSync(join(path, 'new', name), 'utf8'), STORED);
  assert.deepEqual(readdirSync(join(path, 'tmp')), []);
});

for (const [what, change, before] of [
  ['for another recipient', { occasion: { ...OCCASION, recipient: 600 } }],
  ['a second time for the same recipient', { occasion: { ...OCCASION, count: 1 } }],
  [
    'that arrived at another time',
    { occasion: { ...OCCASION, arrival: { seconds: 1_700_000_000, microseconds: 78 } } },
  ],
  ['of which nothing is known', { occasion: undefined }],
  ['with other lines before it', { prepended: 'Return-Path: <bob>\n' }],
  ['that the user has changed', {}, (file: string) => writeFileSync(file, STORED.toUpperCase())],
  ['that a crash has cut', {}, (file: string) => writeFileSync(file, '')],
  ['that has grown', {}, (file: string) => appendFileSync(file, 'x')],
  [
    'whose name is that of a link to the same text',
    {},
    (file: string) => {
      renameSync(file, `${file}-moved`);
      symlinkSync(`${file}-moved`, file);
    },
  ],
  [
    'whose name is that of a fifo',
    {},
    (file: string) => {
      renameSync(file, `${file}-moved`);
      execFileSync('mkfifo', [file]);
    },
  ],
] as const) {
  test(`a message ${what} is another one`, (t) => {
    const { path, delivery } = setUp(t);
    const first: MaildirDelivery = { ...delivery, occasion: OCCASION };
    deliverToMaildir(first);
    const [name = ''] = readdirSync(join(path, 'new'));
    before?.(join(path, 'new', name));
    const names = readdirSync(join(path, 'new'));
    assert.deepEqual(deliverToMaildir({ ...first, ...change }), { kind: 'delivered' });
    const [added = '', ...others] = readdirSync(join(path, 'new')).filter(
      (each) => !names.includes(each),
    );
    assert.deepEqual(others, []);
    const text = readFileSync(join(path, 'new', added), 'utf8');
    assert.equal(text, STORED.replace('<ann>', 'prepended' in change ? '<bob>' : '<ann>'));
    assert.deepEqual(readdirSync(join(path, 'tmp')), []);
  });
}

test('a message that the user has taken away is delivered again', (t) => {
  const { path, delivery } = setUp(t);
  const first = { ...delivery, occasion: OCCASION };
  deliverToMaildir(first);
  const [name = ''] = readdirSync(join(path, 'new'));
  rmSync(join(path, 'new', name));
  deliverToMaildir(first);
  assert.deepEqual(readdirSync(join(path, 'new')), [name]);
});

/** A Maildir that can't be used: the failure tells which name the message would have had in it. */
function brokenMaildir(directory: string): string {
  const path = join(directory, 'broken');
  mkdirSync(path);
  writeFileSync(join(path, 'tmp'), '');
  return path;
}

const nameIn = (result: unknown) =>
  /\/tmp\/([^/\s]+): Not a directory/.exec(JSON.stringify(result))?.[1];

test('a temporary name that somebody has taken is none that fails', (t) => {
  const { directory, path, delivery } = setUp(t);
  const time = Date.now();
  t.mock.method(Date, 'now', () => time);
  t.mock.method(performance, 'now', () => time - performance.timeOrigin);
  const told = nameIn(deliverToMaildir({ ...delivery, path: brokenMaildir(directory) })) ?? '';
  const next = told.replace(/(\d+)M/, (_, serial) => `${Number(serial) + 1}M`);
  assert.notEqual(next, told);
  for (const name of ['tmp', 'new', 'cur']) mkdirSync(join(path, name), { recursive: true });
  writeFileSync(join(path, 'tmp', next), 'of somebody else');
  assert.deepEqual(deliverToMaildir(delivery), { kind: 'delivered' });
  assert.equal(readFileSync(join(path, 'tmp', next), 'utf8'), 'of somebody else');
  assert.equal(readdirSync(join(path, 'new')).length, 1);
});

test('threads that begin in the same microsecond take names of their own', async (t) => {
  const { directory, delivery } = setUp(t);
  const step = { kind: 'maildir', ...delivery, path: brokenMaildir(directory) };
  const identity = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, groups: [] };
  const program = `
    const { parentPort, workerData } = require('node:worker_threads');
    Date.now = () => workerData.time;
    performance.now = () => workerData.time - performance.timeOrigin;
    parentPort.postMessage(require(workerData.file).default(workerData.steps));
  `;
  const workerData = {
    time: Date.now(),
    file: resolve('build/workers/local-delivery.worker.cjs'),
    steps: [{ identity, work: step }],
  };
  const nameOfThread = () =>
    new Promise((done, fail) => {
      const worker = new Worker(program, { eval: true, workerData });
      worker.once('message', (result) => done(nameIn(result)));
      worker.once('error', fail);
    });
  const [one, other] = await Promise.all([nameOfThread(), nameOfThread()]);
  const moment = (name: unknown) => `${name}`.replace(/P.*M/, '');
  assert.equal(moment(one), moment(other));
  assert.match(`${one}`, /^\d+\.P/);
  assert.notEqual(one, other);
});

test('a message that is too large leaves nothing behind', (t) => {
  const { path, delivery } = setUp(t);
  assert.deepEqual(deliverToMaildir({ ...delivery, limitBytes: 20 }), {
    kind: 'failed',
    status: '5.2.2',
    text: 'error writing message: File too large',
  });
  assert.deepEqual(readdirSync(join(path, 'tmp')), []);
  assert.equal(deliverToMaildir({ ...delivery, limitBytes: STORED.length }).kind, 'delivered');
});

test('a directory that cannot be made is told', { skip: needsRoot }, (t) => {
  const { directory, delivery } = setUp(t);
  chmodSync(directory, 0o755);
  const user = { uid: 12345, gid: 12346, groups: [] };
  const result = withEffectiveUser(user, () => deliverToMaildir(delivery));
  assert.match(
    JSON.stringify(result),
    /"5\.2\.0".*create maildir file .*\/tmp\/\d+\.P.*: Permission denied/,
  );
});

test("links in a user's Maildir lead only where the user may write", { skip: needsRoot }, (t) => {
  const { directory, path, delivery } = setUp(t);
  chmodSync(directory, 0o777);
  const secret = join(directory, 'secret');
  mkdirSync(secret, { mode: 0o700 });
  const user = { uid: 12345, gid: 12346, groups: [] };
  withEffectiveUser(user, () => {
    mkdirSync(path);
    for (const name of ['tmp', 'new', 'cur']) symlinkSync(secret, join(path, name));
  });
  const result = withEffectiveUser(user, () => deliverToMaildir(delivery));
  assert.equal(result.kind, 'failed');
  assert.deepEqual(readdirSync(secret), []);
});
