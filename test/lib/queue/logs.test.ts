import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sleep } from '../../../lib/clock/clock.ts';
import { NO_DETAIL } from '../../../lib/dsn/detail.ts';
import { flock } from '../../../lib/os/locks.ts';
import {
  appendLog,
  formatLogEntry,
  logSize,
  readLog,
  removeOldLogs,
} from '../../../lib/queue/logs.ts';
import { QueueFileBusyError } from '../../../lib/queue/queue-file-error.ts';
import { parseQueueId, type QueueId } from '../../../lib/queue/queue-id.ts';
import { DEFAULT_HASHING, queuePath } from '../../../lib/queue/queue-path.ts';
import { GOLDEN } from './golden.ts';

const directory = mkdtempSync(join(tmpdir(), 'logs-'));
before(() => {
  process.chdir(directory);
  for (const queue of ['bounce', 'defer', 'trace']) mkdirSync(queue);
});
after(() => {
  process.chdir('/');
  rmSync(directory, { recursive: true });
});

function place(queue: 'bounce' | 'defer' | 'trace', id: string) {
  return { queue, id: parseQueueId(id) as QueueId, hashing: DEFAULT_HASHING };
}

function pathOf({ queue, id, hashing }: ReturnType<typeof place>): string {
  return queuePath(queue, id, hashing);
}

const ENTRY = {
  recipient: {
    original: 'Defer1@mix.test',
    address: 'defer1@mix.test',
    offset: 726,
    dsnOriginal: 'rfc822;defer1@mix.test',
    notify: 0,
  },
  detail: {
    status: '4.2.1',
    action: 'delayed',
    diagType: 'smtp',
    diagText: '450 4.2.1 mailbox busy',
    mtaType: 'dns',
    mtaName: '127.0.0.1',
    reason: 'host 127.0.0.1[127.0.0.1] said: 450 4.2.1 mailbox busy (in reply to RCPT TO command)',
  },
};

test('an entry is written as Postfix writes it', () => {
  assert.equal(
    formatLogEntry(ENTRY, true),
    `
<defer1@mix.test>: host 127.0.0.1[127.0.0.1] said: 450 4.2.1 mailbox busy (in reply to RCPT TO command)
recipient=defer1@mix.test
offset=726
dsn_orig_rcpt=rfc822;defer1@mix.test
status=4.2.1
action=delayed
diag_type=smtp
diag_text=450 4.2.1 mailbox busy
mta_type=dns
mta_mname=127.0.0.1
reason=host 127.0.0.1[127.0.0.1] said: 450 4.2.1 mailbox busy (in reply to RCPT TO command)

`,
  );
});

test('appended entries come back', async () => {
  const odd = {
    recipient: {
      original: 'al.ias@x.test',
      address: 'odd user@x.test',
      offset: -1,
      dsnOriginal: '',
      notify: 6,
    },
    detail: { ...NO_DETAIL, status: '4.0.0', action: 'delayed', reason: 'why\nrecipient=forged' },
  };
  const where = place('defer', 'ABCDEF1');
  await Promise.all([ENTRY, odd].map((entry) => appendLog(where, entry, { oldForm: true })));
  const text = readFileSync('defer/A/ABCDEF1', 'latin1');
  assert.match(
    text,
    /^\n<"odd user"@x\.test>: why\?recipient=forged\nrecipient="odd user"@x\.test\noriginal/m,
  );
  assert.equal(statSync('defer/A/ABCDEF1').mode & 0o777, 0o600);
  const found = [...readLog(where)].sort((a, b) => b.recipient.offset - a.recipient.offset);
  assert.deepEqual(found, [
    { ...ENTRY, recipient: { ...ENTRY.recipient, original: '' } },
    { ...odd, detail: { ...odd.detail, reason: 'why?recipient=forged' } },
  ]);
});

test("Postfix's defer log is read", () => {
  mkdirSync('defer/7', { recursive: true });
  writeFileSync('defer/7/7953320C075', readFileSync(join(GOLDEN, 'defer-log')));
  const found = [...readLog(place('defer', '7953320C075'))];
  assert.deepEqual(
    found.map(({ recipient }) => [recipient.address, recipient.offset]),
    [
      ['later@defer.test', 454],
      ['user@defer.test', 380],
    ],
  );
  assert.equal(found[0]?.detail.reason, 'wait');
});

for (const [queue, status, action] of [
  ['defer', '4.0.0', 'delayed'],
  ['bounce', '5.0.0', 'failed'],
] as const) {
  test(`an old entry in ${queue} means ${action}`, () => {
    mkdirSync('defer/O', { recursive: true });
    const where = place(queue, 'OLDENTRY');
    writeFileSync(
      queue === 'defer' ? 'defer/O/OLDENTRY' : 'bounce/OLDENTRY',
      '\n<a@b.test>: why: so\n',
    );
    const [entry] = readLog(where);
    assert.equal(entry?.recipient.address, 'a@b.test');
    assert.equal(entry.detail.reason, 'why: so');
    assert.equal(entry.detail.status, status);
    assert.equal(entry.detail.action, action);
  });
}

test('logs of an earlier message of the same id vanish', async () => {
  for (const queue of ['bounce', 'defer', 'trace'] as const) {
    await appendLog(place(queue, 'ABCDEF2'), ENTRY, { oldForm: false });
  }
  removeOldLogs(parseQueueId('ABCDEF2') as QueueId, DEFAULT_HASHING);
  for (const queue of ['bounce', 'defer', 'trace'] as const) {
    assert.equal(logSize(place(queue, 'ABCDEF2')), undefined);
    assert.deepEqual([...readLog(place(queue, 'ABCDEF2'))], []);
  }
});

test('an entry waits for a lock no longer than need be, and nobody else waits with it', async () => {
  const where = place('defer', 'AAAA1');
  const options = { oldForm: false };
  await appendLog(where, ENTRY, options);
  const before = logSize(where);
  // As Postfix's bounce does it.
  const holder = spawn('flock', ['-x', pathOf(where), 'sh', '-c', 'echo locked; read line']);
  await once(holder.stdout, 'data');
  const appended = appendLog(where, ENTRY, options);
  for (let turns = 0; turns < 10; turns += 1) await sleep(10);
  assert.equal(logSize(where), before, 'it did not wait');
  holder.stdin.end('\n');
  await appended;
  assert.equal(logSize(where), Number(before) * 2);
});

test('a writer of many entries lets another one in', async () => {
  const where = place('defer', 'AAAA2');
  const options = { oldForm: false };
  let written = 0;
  let stop = false;
  const many = (async () => {
    for (; !stop && written < 2000; written += 1) await appendLog(where, ENTRY, options);
  })();
  await appendLog(where, ENTRY, options);
  for (let turn = 0; turn < 5; turn += 1) {
    const before = written;
    await appendLog(where, ENTRY, options);
    assert.ok(written - before <= 10, `${written - before} others went first`);
  }
  stop = true;
  await many;
  assert.equal([...readLog(where)].length, written + 6);
});

test('whoever is told to leave does not wait for a lock', async () => {
  const where = place('defer', 'AAAA3');
  await appendLog(where, ENTRY, { oldForm: false });
  const fd = openSync(pathOf(where), 'a');
  try {
    assert.ok(flock(fd, 'exclusive'));
    const stopping = AbortSignal.timeout(50);
    await assert.rejects(appendLog(where, ENTRY, { oldForm: false, stopping }), QueueFileBusyError);
  } finally {
    closeSync(fd);
  }
});
