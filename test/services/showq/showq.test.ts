import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { atEnd } from '../../support/cleanup.ts';
import { freshDirectory } from '../../support/directories.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { writeSettled } from '../../support/settled-file.ts';
import { writeMessage } from './queue-sample.ts';

const REAL = '/usr/sbin/postqueue';
const root = process.getuid?.() === 0;
const only = ['showq unix n - n - - showq', 'flush unix n - n - 0 flush'];

function fillQueue(queue: string): void {
  writeMessage(queue, {
    queue: 'deferred',
    id: 'CA35A220343',
    sender: '',
    recipients: ['late@slow.test', 'later@slow.test', 'never@slow.test'],
    reasons: {
      'late@slow.test': 'connect to slow.test[192.0.2.1]:25: Connection timed out',
      'later@slow.test': 'connect to slow.test[192.0.2.1]:25: Connection timed out',
    },
    sizeBytes: 2157,
  });
  writeMessage(queue, {
    queue: 'active',
    id: 'CE4FE220366',
    sender: 'alice@client.test',
    recipients: ['s1@slow.test'],
    sizeBytes: 277,
  });
  writeMessage(queue, {
    queue: 'hold',
    id: 'BEB6C2201C1',
    sender: 'two words@client.test',
    recipients: ['"quoted"\\back\x07@hold.test', 'b\u00e9@hold.test'],
    mode: 0o710,
    sizeBytes: 123_456,
  });
  // Not finished: nobody sees it.
  writeMessage(queue, {
    queue: 'incoming',
    id: 'AAAAA220366',
    sender: 'half@client.test',
    recipients: ['s1@slow.test'],
    mode: 0o600,
  });
}

const TEXT = `-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------
CE4FE220366*     277 Sat Nov 21 22:40:00  alice@client.test
                                         s1@slow.test

CA35A220343    2157 Sat Nov 21 22:40:00  MAILER-DAEMON
                    (connect to slow.test[192.0.2.1]:25: Connection timed out)
                                         late@slow.test
                                         later@slow.test
                                                          (reason unavailable)
                                         never@slow.test

BEB6C2201C1!#  123456 Sat Nov 21 22:40:00  "two words"@client.test
                                         "\\"quoted\\"\\\\back?"@hold.test
                                         b\u00e9@hold.test

-- 122 Kbytes in 3 Requests.
`;

process.env['TZ'] = 'UTC';

test('postqueue -p lists what waits, with the reasons', async (t) => {
  const mail = await startMailSystem(t, { only });
  assert.deepEqual(listed(mail, '-p'), 'Mail queue is empty\n');
  assert.deepEqual(listed(mail, '-j'), '');
  fillQueue(mail.queue);
  assert.deepEqual(listed(mail, '-p'), TEXT);
});

test('postqueue -j lists one object a line', async (t) => {
  const mail = await startMailSystem(t, { only });
  fillQueue(mail.queue);
  const lines = listed(mail, '-j').trimEnd().split('\n');
  assert.equal(lines.length, 3);
  assert.equal(
    lines[0],
    '{"queue_name": "active", "queue_id": "CE4FE220366", "arrival_time": 1795300800, ' +
      '"message_size": 277, "forced_expire": false, "sender": "alice@client.test", ' +
      '"recipients": [{"address": "s1@slow.test"}]}',
  );
  const held = JSON.parse(lines[2] ?? '');
  assert.equal(held.forced_expire, true);
  assert.equal(held.recipients[0].address, '"\\"quoted\\"\\\\back?"@hold.test');
});

test('with enable_long_queue_ids the columns are wider', async (t) => {
  const mail = await startMailSystem(t, { only, main: { enable_long_queue_ids: 'yes' } });
  fillQueue(mail.queue);
  const [heading, first] = listed(mail, '-p').split('\n');
  assert.equal(heading, '----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------');
  assert.equal(first, 'CE4FE220366*           277 Sat Nov 21 22:40:00 alice@client.test');
});

test('when the mail system is down, root lists the queue directly', {
  skip: root ? false : 'needs root',
}, async (t) => {
  const mail = await startMailSystem(t, { only });
  fillQueue(mail.queue);
  mail.stop();
  const { status, stdout, stderr } = mail.run('postqueue', ['-p']);
  assert.match(
    stderr,
    /^postqueue: warning: Mail system is down -- accessing queue directly \(Connect to the Postfix showq service: (Connection refused|No such file or directory)\)\n$/,
  );
  assert.equal(stdout, TEXT);
  assert.equal(status, 0);
});

for (const flag of ['-p', '-j']) {
  test(`Postfix's postqueue ${flag} reads our showq`, {
    skip: root && existsSync(REAL) ? false : `needs root and ${REAL}`,
  }, async (t) => {
    const mail = await startMailSystem(t, { only, main: { alternate_config_directories: '' } });
    fillQueue(mail.queue);
    const real = spawnSync(REAL, ['-c', mail.config, flag], { encoding: 'utf8' });
    assert.equal(real.stderr, '');
    assert.equal(real.stdout, listed(mail, flag));
  });
}

test('a user whom authorized_mailq_users leaves out is refused, also by the service', {
  skip: root ? false : 'needs root',
}, async (t) => {
  const mail = await startMailSystem(t, { only, main: { authorized_mailq_users: 'root' } });
  fillQueue(mail.queue);
  assert.deepEqual(listedAsNobody(mail.config), {
    status: 69,
    stderr: 'postqueue: fatal: User nobody(65534) is not allowed to view the mail queue\n',
  });
  // His own main.cf may say what it likes.
  const config = freshDirectory(t);
  writeSettled(join(config, 'main.cf'), `queue_directory = ${mail.queue}\n`);
  const refused = listedAsNobody(config);
  assert.equal(refused.status, 69);
  assert.match(refused.stderr, /fatal: malformed showq server response\n$/);
  await mail.waitForLog(/warning: user nobody may not view the mail queue/);
});

function listedAsNobody(config: string) {
  const identity = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const command = ['build/bin/postqueue', '-c', config, '-p'];
  const { status, stderr } = spawnSync('setpriv', [...identity, ...command], { encoding: 'utf8' });
  return { status, stderr };
}

for (const { args, error } of [
  { args: [], error: /^postqueue: fatal: usage: postqueue -f \| postqueue -i queueid/ },
  { args: ['-p', '-f'], error: /^postqueue: fatal: usage: / },
  { args: ['-Z'], error: /^postqueue: invalid option -- 'Z'\npostqueue: fatal: usage: / },
  { args: ['-s', 'a b'], error: /fatal: Cannot flush mail queue - invalid destination: "a b"\n$/ },
  { args: ['-i', 'a/b'], error: /fatal: Cannot flush queue ID - invalid name: "a\/b"\n$/ },
  {
    args: ['-s', 'x.test'],
    error: /fatal: Flush service is not configured for destination "x.test"\n$/,
  },
  {
    args: ['-f'],
    error:
      /^postqueue: warning: unable to look up public\/qmgr: No such file or directory\npostqueue: fatal: Cannot flush mail queue - mail system is down\n$/,
  },
  {
    args: ['-i', 'ABCDEF'],
    error: /fatal: Cannot flush mail queue - mail system is down\n$/,
  },
]) {
  test(`postqueue ${args.join(' ')} with the mail system down ends with status 69`, async (t) => {
    const mail = await startMailSystem(t, { only, stopped: true });
    const { status, stderr } = mail.run('postqueue', args);
    assert.match(stderr, error);
    assert.equal(status, 69);
  });
}

function listed(mail: MailSystem, flag: string): string {
  const { status, stdout, stderr } = mail.run('postqueue', [flag]);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  return stdout;
}

test('a client that does not read is let go, and the log says whose it was', async (t) => {
  const mail = await startMailSystem(t, { only, main: { ipc_timeout: '1s' } });
  const recipients = Array.from({ length: 30_000 }, (_, n) => `recipient${n}@slow.test`);
  writeMessage(mail.queue, { queue: 'active', id: 'CE4FE220366', sender: 'a@b.test', recipients });
  const socket = connect(join(mail.queue, 'public/showq'));
  atEnd(t, () => {
    socket.destroy();
  });
  socket.pause();
  const uid = process.getuid?.();
  await mail.waitForLog(
    new RegExp(`timeout on showq socket \\(client uid ${uid}\\) while writing`),
  );
});
