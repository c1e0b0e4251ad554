/** Mail from users of this machine: files in maildrop, and the submission door. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lookupUser } from '../../../lib/os/identity.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { parseRecords, type RecordText, toBytes } from '../../support/records.ts';
import { converse } from '../cleanup/converse.ts';

const SERVICES = [
  'pickup unix n - n 60 1 pickup',
  'cleanup unix n - n - 0 cleanup',
  'rewrite unix - - n - - trivial-rewrite',
  'bounce unix - - n - 0 bounce',
  'trace unix - - n - 0 bounce',
];

const uid = process.getuid?.() ?? 0;

function start(t: TestContext, main: Readonly<Record<string, string>> = {}): Promise<MailSystem> {
  return startMailSystem(t, { main: { in_flow_delay: '0', ...main }, only: SERVICES });
}

const GOOD: readonly RecordText[] = [
  ['T', '1700000000 5'],
  ['A', 'rewrite_context=local'],
  ['F', 'A User'],
  ['S', 'user@x.test'],
  ['R', 'bob@ok.test'],
  ['M', ''],
  ['N', 'Subject: dropped'],
  ['N', ''],
  ['L', 'open'],
  ['X', ''],
  ['E', ''],
];

/** Puts a file in maildrop as postdrop does, and wakes pickup up. */
function drop(
  mail: MailSystem,
  name: string,
  records: readonly RecordText[],
  mode = 0o744,
): string {
  const path = join(mail.queue, 'maildrop', name);
  writeFileSync(path, toBytes(records), { mode: 0o600 });
  chmodSync(path, mode);
  return path;
}

function wakeUp(mail: MailSystem): void {
  mail.run('postkick', ['public', 'pickup', 'W']);
}

async function theMessage(mail: MailSystem): Promise<{ id: string; records: RecordText[] }> {
  const id = await eventually('a message in incoming', () => mail.ids('incoming')[0]);
  await eventually('an empty maildrop', () => mail.ids('maildrop').length === 0);
  return { id, records: parseRecords(readFileSync(join(mail.queue, 'incoming', id))) };
}

const textOf = (records: readonly RecordText[], type: string) =>
  records.filter((record) => record[0] === type).map((record) => record[1]);

test('a file in maildrop becomes a message', async (t) => {
  const mail = await start(t);
  drop(mail, 'ABCDEF12', GOOD);
  wakeUp(mail);
  const { id, records } = await theMessage(mail);
  assert.deepEqual(textOf(records, 'T'), ['1700000000 5']);
  assert.deepEqual(textOf(records, 'R'), ['bob@ok.test']);
  const lines = textOf(records, 'N');
  assert.equal(lines[0], `Received: by mx.lab.test (Postfix, from userid ${uid})`);
  assert.match(lines[1] ?? '', new RegExp(`^\\tid ${id}; \\w{3}, [ \\d]\\d \\w{3} \\d{4} `));
  await mail.waitForLog(new RegExp(`pickup\\[\\d+\\]: ${id}: uid=${uid} from=<user@x\\.test>$`));
});

const BAD: Readonly<Record<string, readonly RecordText[]>> = {
  'no sender': GOOD.filter(([type]) => type !== 'S'),
  'no end': GOOD.slice(0, -1),
  'a record of another kind': [['Z', 'x'], ...GOOD],
  'a record too long': [...GOOD.slice(0, 6), ['N', 'x'.repeat(3000)], ...GOOD.slice(7)],
  'no recipient': GOOD.filter(([type]) => type !== 'R'),
};

for (const [what, records] of Object.entries(BAD)) {
  test(`a file in maildrop that can never be mail is removed: ${what}`, async (t) => {
    const mail = await start(t);
    drop(mail, 'ABCDEF12', records);
    wakeUp(mail);
    await eventually('an empty maildrop', () => mail.ids('maildrop').length === 0);
    await eventually('no message', () => readdirSync(join(mail.queue, 'incoming')).length === 0);
  });
}

test('what is not complete, or no message, stays where it is', async (t) => {
  const mail = await start(t);
  drop(mail, 'ABCDEF12', GOOD, 0o644);
  drop(mail, '123456.789', GOOD);
  drop(mail, 'ABCDEF13', GOOD);
  wakeUp(mail);
  await eventually('the good one is gone', () => !mail.ids('maildrop').includes('ABCDEF13'));
  assert.deepEqual(readdirSync(join(mail.queue, 'maildrop')).sort(), ['123456.789', 'ABCDEF12']);
});

test('users give no attributes but their own', async (t) => {
  const mail = await start(t);
  const extra: RecordText[] = [
    ['A', 'encoding=8bit'],
    ['A', 'sasl_username=root'],
    ['A', 'log_client_name=evil'],
    ['A', 'notify_flags=6'],
    ['O', 'other@x'],
  ];
  drop(mail, 'ABCDEF12', [...GOOD.slice(0, 4), ...extra, ...GOOD.slice(4)]);
  wakeUp(mail);
  const { records } = await theMessage(mail);
  const attributes = textOf(records, 'A');
  assert.ok(attributes.includes('encoding=8bit') && attributes.includes('notify_flags=6'));
  assert.ok(!attributes.some((text) => /sasl|log_client/.test(text)));
  if (uid === 0) assert.deepEqual(textOf(records, 'O'), ['bob@ok.test']);
});

test('what postsuper -r brought back keeps its history', { skip: uid !== 0 }, async (t) => {
  const mail = await start(t);
  const owner = lookupUser('postfix');
  assert.ok(owner);
  const requeued: RecordText[] = [
    ['C', `${'5'.padStart(15)} `.repeat(5) + '1'.padStart(15)],
    ['T', '1700000000 5'],
    ['A', 'create_time=1600000000'],
    ['A', 'log_ident=OLDID1'],
    ['A', 'rewrite_context=remote'],
    ['S', 'user@x.test'],
    ['W', '     1800000000'],
    ['D', 'done@x'],
    ['A', 'dsn_orig_rcpt=rfc822;orig@x'],
    ['O', 'orig@x'],
    ['R', 'bob@ok.test'],
    ['M', ''],
    ['N', 'Received: earlier'],
    ['w', '0'],
    ['N', ''],
    ['N', 'body'],
    ['X', ''],
    ['L', 'smtp:old'],
    ['A', 'encoding=8bit'],
    ['E', ''],
  ];
  const path = drop(mail, 'ABCDEF12', requeued, 0o700);
  chownSync(path, owner.uid, owner.gid);
  wakeUp(mail);
  const { id, records } = await theMessage(mail);
  assert.deepEqual(textOf(records, 'O'), ['orig@x']);
  assert.deepEqual(textOf(records, 'W'), ['     1800000000']);
  const attributes = textOf(records, 'A');
  assert.ok(attributes.includes('log_ident=OLDID1'));
  assert.ok(!attributes.includes('create_time=1600000000'));
  assert.ok(!records.some(([type, data]) => type === 'L' && data === 'smtp:old'));
  await mail.waitForLog(
    new RegExp(`${id}: uid=${owner.uid} from=<user@x\\.test> orig_id=ABCDEF12$`),
  );
});

const ASK = Buffer.from('request\0submit\0\0');

/** Hands records over at the door; the answer as text. */
async function submitAtDoor(mail: MailSystem, bytes: Buffer): Promise<string> {
  const received = await converse(
    join(mail.queue, 'public/pickup'),
    (so) => {
      if (so.length === 0) return ASK;
      const text = so.toString('latin1');
      // Without an id nobody reads what comes, and to send it could cost us the answer.
      if (/^protocol\0postdrop_protocol\0queue_id\0[^\0]+\0\0$/.test(text)) return bytes;
      return /\0\0status\0\d+\0reason\0[^\0]*\0\0$/.test(text) ? 'end' : 'more';
    },
    { speaksFirst: true },
  );
  return received.toString('latin1').replaceAll('\0', '|');
}

const accepted = /^protocol\|postdrop_protocol\|queue_id\|(\w+)\|\|status\|0\|reason\|\|\|$/;

test('the door takes a message, and answers when it is safe', async (t) => {
  const mail = await start(t);
  const [, id] = accepted.exec(await submitAtDoor(mail, toBytes(GOOD))) ?? [];
  assert.ok(id);
  const records = parseRecords(readFileSync(join(mail.queue, 'incoming', id)));
  assert.equal(textOf(records, 'N')[0], `Received: by mx.lab.test (Postfix, from userid ${uid})`);
  // The time is ours, whatever the client says.
  assert.notDeepEqual(textOf(records, 'T'), ['1700000000 5']);
  await mail.waitForLog(new RegExp(`${id}: uid=${uid} from=<user@x\\.test>`));
});

test('the door takes many at once', async (t) => {
  const mail = await start(t);
  const answers = await Promise.all(
    Array.from({ length: 15 }, () => submitAtDoor(mail, toBytes(GOOD))),
  );
  for (const answer of answers) assert.match(answer, accepted);
  assert.equal(mail.ids('incoming').length, 15);
});

const REFUSED: Readonly<Record<string, readonly [Buffer, number]>> = {
  'a record of another kind': [toBytes([['T', '1 2'], ['L', 'smtp:x'], ...GOOD.slice(1)]), 1],
  'a record too long': [toBytes([...GOOD.slice(0, 6), ['N', 'x'.repeat(3000)]]), 1],
  'no sender': [toBytes(GOOD.filter(([type]) => type !== 'S')), 64],
  'no recipient': [toBytes(GOOD.filter(([type]) => type !== 'R')), 64],
  noise: [Buffer.from('N\xff\xff\xff\xff\xff', 'latin1'), 1],
  'too much': [
    toBytes([...GOOD.slice(0, 6), ...Array(60).fill(['N', 'x'.repeat(1000)]), ...GOOD.slice(6)]),
    4,
  ],
};

for (const [what, [bytes, status]] of Object.entries(REFUSED)) {
  test(`the door refuses ${what}`, async (t) => {
    const mail = await start(t, { message_size_limit: '50000' });
    assert.match(await submitAtDoor(mail, bytes), new RegExp(`\\|status\\|${status}\\|reason`));
    await eventually('no message', () => readdirSync(join(mail.queue, 'incoming')).length === 0);
  });
}

test('the door asks the kernel who is there', async (t) => {
  const mail = await start(t, { authorized_submit_users: '!static:all' });
  const answer = await submitAtDoor(mail, toBytes(GOOD));
  assert.match(
    answer,
    /queue_id\|\|\|status\|512\|reason\|User \S+\(\d+\) is not allowed to submit/,
  );
  await eventually('no message', () => readdirSync(join(mail.queue, 'incoming')).length === 0);
});

test('another user may come in, and is known by the kernel', { skip: uid !== 0 }, async (t) => {
  const mail = await start(t);
  const nobody = lookupUser('nobody');
  assert.ok(nobody);
  const { status, stderr } = spawnSync(
    join(process.cwd(), 'build/bin/sendmail'),
    ['-C', mail.config, '-f', 'n@x.test', 'bob@ok.test'],
    { input: 'Subject: x\n\nx\n', uid: nobody.uid, gid: nobody.gid, encoding: 'utf8' },
  );
  assert.equal(stderr, '');
  assert.equal(status, 0);
  await mail.waitForLog(new RegExp(`: uid=${nobody.uid} from=<n@x\\.test>`));
});
