/** postdrop: records in, a file in maildrop out. ipc.md 3.2. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually } from '../support/condition.ts';
import { freshDirectory } from '../support/directories.ts';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';
import { parseRecords, type RecordText, toBytes } from '../support/records.ts';

const GOOD: readonly RecordText[] = [
  ['T', '5 5'],
  ['A', 'rewrite_context=local'],
  ['S', 'me@x.test'],
  ['R', 'u@x.test'],
  ['M', ''],
  ['N', 'Subject: x'],
  ['X', ''],
  ['E', ''],
];

/** A mail system whose pickup does not take anything away. */
function start(t: TestContext, main: Readonly<Record<string, string>> = {}): Promise<MailSystem> {
  return startMailSystem(t, { main, only: ['cleanup unix n - n - 0 cleanup'] });
}

function postdrop(mail: MailSystem, input: Buffer) {
  const { status, stdout, stderr } = spawnSync(resolve('build/bin/postdrop'), ['-r'], {
    input,
    env: { PATH: '/usr/bin:/bin', MAIL_CONFIG: mail.config },
  });
  const said = stdout.toString('latin1').replaceAll('\0', '|');
  return { status, said, stderr: stderr.toString() };
}

test('a message is in maildrop when postdrop says so', async (t) => {
  const mail = await start(t);
  const { status, said } = postdrop(mail, toBytes(GOOD));
  assert.equal(status, 0);
  const [, id] =
    /^protocol\|postdrop_protocol\|queue_id\|(\w+)\|\|status\|0\|reason\|\|\|$/.exec(said) ?? [];
  assert.ok(id, said);
  const path = join(mail.queue, 'maildrop', id);
  assert.equal(statSync(path).mode & 0o777, 0o744);
  const records = parseRecords(readFileSync(path));
  assert.deepEqual(records.slice(1), GOOD.slice(1));
  // The time is postdrop's own.
  assert.notEqual(records[0]?.[1], '5 5');
});

test("one socket may be its input and its output, as Postfix's sendmail has it", async (t) => {
  const mail = await start(t);
  const [ours, theirs] = await socketPair(t);
  const child = spawn(resolve('build/bin/postdrop'), ['-r'], {
    stdio: [theirs, theirs, 'inherit'],
    env: { PATH: '/usr/bin:/bin', MAIL_CONFIG: mail.config },
  });
  const ended = once(child, 'exit');
  theirs.destroy();
  let said = (await once(ours, 'data')).toString();
  const hasSettled = settles(child.pid ?? 0);
  await eventually('postdrop to wait for what we have to say', hasSettled);
  ours.on('data', (bytes) => {
    said += bytes.toString('latin1');
  });
  ours.end(toBytes(GOOD));
  assert.deepEqual(await ended, [0, null]);
  assert.match(said.replaceAll('\0', '|'), /status\|0\|reason\|\|\|$/);
});

/** Whether it has not used the processor since so many questions ago; or has ended. */
function settles(pid: number, patience = 10): () => boolean {
  let [last, times] = ['', 0];
  return () => {
    const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'latin1') : '';
    const used = stat.split(' ').slice(13, 15).join();
    [last, times] = [used, used === last ? times + 1 : 0];
    return times === patience;
  };
}

async function socketPair(t: TestContext): Promise<[Socket, Socket]> {
  const path = join(freshDirectory(t, 'pair'), 'socket');
  const server = createServer({ pauseOnConnect: true }).listen(path);
  await once(server, 'listening');
  const ours = connect(path);
  const [theirs] = await once(server, 'connection');
  server.close();
  return [ours, theirs];
}

const REFUSED: Readonly<Record<string, readonly [Buffer, number, RegExp]>> = {
  'a record of another kind': [
    toBytes([['Z', 'x'], ...GOOD]),
    1,
    /fatal: uid=\d+: unexpected record type: 90/,
  ],
  'a record too long': [
    toBytes([...GOOD.slice(0, 5), ['N', 'x'.repeat(3000)]]),
    1,
    /fatal: uid=\d+: malformed input/,
  ],
  noise: [Buffer.from('garbage in'), 1, /fatal: uid=\d+: malformed input/],
  'no recipient': [toBytes(GOOD.filter(([type]) => type !== 'R')), 1, /^$/],
};

for (const [what, [input, status, stderr]] of Object.entries(REFUSED)) {
  test(`postdrop refuses ${what}`, async (t) => {
    const mail = await start(t);
    const result = postdrop(mail, input);
    assert.equal(result.status, status);
    assert.match(result.stderr, stderr);
    assert.deepEqual(mail.ids('maildrop'), []);
  });
}

for (const [input, text] of [
  ['garbage in', 'unexpected EOF in data, record type 103 length 97'],
  ['g', 'unexpected EOF reading length, record type 103'],
  ['R\x85', 'unexpected EOF reading length, record type 82'],
  ['R\x85\x01u', 'unexpected EOF in data, record type 82 length 133'],
] as const) {
  test(`input that ends within a record: ${text}`, async (t) => {
    const mail = await start(t);
    const bytes = Buffer.from(input, 'latin1');
    const { stderr } = postdrop(mail, bytes);
    const uid = process.getuid?.();
    assert.equal(
      stderr,
      `postdrop: warning: stdin: ${text}\npostdrop: fatal: uid=${uid}: malformed input\n`,
    );
    if (whyNoPostfix() !== false) return;
    const real = spawnSync('/usr/sbin/postdrop', ['-c', mail.config, '-r'], { input: bytes });
    assert.equal(stderr, real.stderr.toString());
  });
}

test('while the mail system runs, too, a message goes through maildrop', async (t) => {
  const mail = await startMailSystem(t, {
    only: [
      'pickup unix n - n 3600 1 pickup',
      'cleanup unix n - n - 0 cleanup',
      'rewrite unix - - n - - trivial-rewrite',
    ],
  });
  const [, id] = /queue_id\|(\w+)\|/.exec(postdrop(mail, toBytes(GOOD)).said) ?? [];
  assert.ok(id);
  // Its wake-up is an hour away: it was told.
  await eventually('a queued message', () => mail.ids('incoming').length === 1);
  await eventually('an empty maildrop', () => mail.ids('maildrop').length === 0);
  await mail.waitForLog(/pickup\[\d+\]: \w+: uid=\d+ from=<me@x.test>/);
});

test('a program that changes its mind leaves nothing', async (t) => {
  const mail = await start(t);
  const { status } = postdrop(mail, toBytes(GOOD.slice(0, -1)));
  assert.equal(status, 0);
  assert.deepEqual(mail.ids('maildrop'), []);
});

test('a message too big is refused', async (t) => {
  const mail = await start(t, { message_size_limit: '10000' });
  const lines = Array.from({ length: 50 }, (): RecordText => ['N', 'x'.repeat(1000)]);
  const { status, said } = postdrop(
    mail,
    toBytes([...GOOD.slice(0, 5), ...lines, ...GOOD.slice(5)]),
  );
  assert.equal(status, 4);
  assert.match(said, /\|status\|4\|reason\|\|\|$/);
  assert.deepEqual(mail.ids('maildrop'), []);
});

test('who may not submit is told so', async (t) => {
  const mail = await start(t, { authorized_submit_users: 'nosuchuser' });
  const { status, stderr } = postdrop(mail, toBytes(GOOD));
  assert.equal(status, 1);
  assert.match(stderr, /^postdrop: fatal: User \S+\(\d+\) is not allowed to submit mail$/m);
});
