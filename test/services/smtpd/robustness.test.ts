/** Clients that misbehave, services that fail, and many of both: smtpd goes on, and nothing is lost. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { sleep } from '../../../lib/clock/clock.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { command, Dialogue, meet, send } from './dialogue.ts';
import { MESSAGE } from './steps.ts';

const DISCARD = {
  local_transport: 'discard:',
  default_transport: 'discard:',
  smtpd_peername_lookup: 'no',
  smtpd_error_sleep_time: '0',
  smtpd_client_connection_count_limit: '0',
} as const;
const ENVELOPE = ['EHLO client.test', 'MAIL FROM:<ann@client.test>', 'RCPT TO:<root@lab.test>'];

function start(t: TestContext, main: Record<string, string> = {}): Promise<MailSystem> {
  return startMailSystem(t, { main: { ...DISCARD, ...main } });
}

/** The whole of a message, from a client that behaves. */
async function checkMail(t: TestContext, mail: MailSystem): Promise<void> {
  const dialogue = await meet(t, mail);
  assert.match(await command(dialogue, ...ENVELOPE, 'DATA'), /^354 /);
  await dialogue.play(MESSAGE);
  assert.match(dialogue.replies.at(-1) ?? '', /^250 2\.0\.0 Ok: queued as /);
  await dialogue.play('QUIT');
  await dialogue.close();
}

/** Processes of a daemon below this system's master. */
function processesOf(mail: MailSystem, daemon: string): number[] {
  const master = mail.masterPid();
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
        return parent === master && words.some((word) => word.endsWith(`/libexec/${daemon}`));
      } catch {
        return false;
      }
    });
}

/** Nothing in the log that asks for a human, but what is expected. */
function assertNoTrouble(mail: MailSystem, ...expected: readonly RegExp[]): void {
  const lines = mail
    .log()
    .split('\n')
    .filter((line) => / (?:panic|fatal|error|warning): /.test(line))
    .filter((line) => !expected.some((pattern) => pattern.test(line)));
  assert.deepEqual(lines, []);
}

const COMMANDS = fc.constantFrom(
  ...[
    'EHLO x',
    'HELO x',
    'MAIL FROM:<a@b.test>',
    'MAIL FROM:<>',
    'RCPT TO:<root@lab.test>',
    'DATA',
  ],
  ...[
    'RSET',
    'NOOP',
    'VRFY root',
    'ETRN lab.test',
    'BDAT 3',
    'BDAT 9 LAST',
    'STARTTLS',
    'AUTH PLAIN',
    'XCLIENT A=b',
  ],
  ...['.', '..', 'a: b', '', 'FOO', 'MAIL FROM:<"', 'RCPT TO:<@', 'MAIL FROM:<a@b.test> SIZE=9'],
);
const LINE_ENDS = fc.constantFrom('\r\n', '\r\n', '\r\n', '\n', '\r', '\0\r\n', '');
const PIECES = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.tuple(COMMANDS, LINE_ENDS).map(([text, end]) => text + end) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
    { weight: 1, arbitrary: fc.constantFrom('x'.repeat(3000), '\xff\xfe\r\n', '\r\n.\r\n') },
  ),
  { minLength: 1, maxLength: 30 },
);

test('whatever bytes come, smtpd goes on', async (t) => {
  const mail = await start(t, { smtpd_timeout: '5s', service_processes: '1' });
  await checkMail(t, mail);
  const before = processesOf(mail, 'smtpd');
  await fc.assert(
    fc.asyncProperty(PIECES, fc.boolean(), async (pieces, isPolite) => {
      const dialogue = new Dialogue({ port: mail.port });
      for (const piece of pieces) {
        dialogue.socket.write(piece, 'latin1');
        if (isPolite) await new Promise((resolve) => setImmediate(resolve));
      }
      dialogue.socket.end();
      await dialogue.awaitEnd();
      await dialogue.close();
    }),
    { numRuns: 150 },
  );
  await checkMail(t, mail);
  assert.deepEqual(processesOf(mail, 'smtpd'), before);
  assert.doesNotMatch(mail.log(), /panic|fatal| error: /);
  await mail.waitUntilEmpty();
});

test('a chunk costs nothing until it comes', async (t) => {
  const mail = await start(t, { message_size_limit: '0', service_processes: '1' });
  await checkMail(t, mail);
  const [pid] = processesOf(mail, 'smtpd');
  const before = residentBytes(pid);
  const clients = await Promise.all(Array.from({ length: 50 }, () => meet(t, mail)));
  for (const client of clients) {
    await command(client, ...ENVELOPE);
    await client.play(send('BDAT 100000000 LAST\r\nSubject: test\r\n', 0));
  }
  await checkMail(t, mail);
  // All of them say that they have five gigabytes.
  assert.ok(residentBytes(pid) - before < 512e6, 'memory');
  for (const client of clients) client.socket.destroy();
  await eventually('the end of the sessions', () => {
    const lost = mail.log().match(/lost connection after BDAT \(15 bytes\) from/g);
    return lost?.length === clients.length;
  });
  await mail.waitUntilEmpty();
});

test('a message has so many chunks, and no more', async (t) => {
  const mail = await start(t);
  const client = await meet(t, mail);
  await command(client, ...ENVELOPE);
  const chunks = 10_001;
  await client.play(send('BDAT 1\r\nx'.repeat(chunks), chunks));
  assert.equal(client.replies.at(-2), '250 2.0.0 Ok: 1 bytes');
  assert.match(client.replies.at(-1) ?? '', /^421 4\.7\.0 \S+ Error: too many chunks$/);
  await client.awaitEnd();
  await mail.waitUntilEmpty();
});

function residentBytes(pid: number | undefined): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

test('one process serves 500 sessions at once', async (t) => {
  const mail = await startMailSystem(t, {
    main: { ...DISCARD, default_process_limit: '600', service_processes: '1' },
  });
  const clients = await Promise.all(Array.from({ length: 500 }, () => meet(t, mail)));
  await Promise.all(clients.map((client) => command(client, ...ENVELOPE, 'DATA')));
  await Promise.all(clients.map((client) => client.play(MESSAGE)));
  const last = clients.map((client) => client.replies.at(-1)?.replace(/queued as .*/, ''));
  assert.deepEqual(new Set(last), new Set(['250 2.0.0 Ok: ']));
  assert.equal(processesOf(mail, 'smtpd').length, 1);
  await Promise.all(clients.map((client) => command(client, 'QUIT')));
  await mail.waitUntilEmpty();
  assertNoTrouble(mail);
});

test('a client that never reads its replies has to wait for itself', async (t) => {
  const mail = await start(t, { smtpd_timeout: '5s', smtpd_junk_command_limit: '100000000' });
  const socket = await connected(t, mail);
  socket.pause();
  const line = Buffer.from('EHLO client.test\r\n'.repeat(1000));
  let isClosed = false;
  socket.on('close', () => {
    isClosed = true;
  });
  // It stops taking commands, and then loses patience.
  for (let sent = 0; sent < 10_000 && !isClosed; sent += 1) {
    if (!socket.write(line)) await sleep(10);
    if (socket.writableLength > 4 * line.length) break;
  }
  await checkMail(t, mail);
  await mail.waitForLog(/timeout after EHLO from unknown/);
  await mail.waitForLog(/disconnect from unknown\[127\.0\.0\.1\] ehlo=\d{2,}/);
});

async function connected(t: TestContext, { port }: MailSystem): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

test('10,000 unknown commands are 10,000 replies, and nothing else', async (t) => {
  const mail = await start(t, {
    smtpd_hard_error_limit: '100000',
    smtpd_junk_command_limit: '100000',
    service_processes: '1',
  });
  await checkMail(t, mail);
  const [pid] = processesOf(mail, 'smtpd');
  const before = residentBytes(pid);
  const client = await meet(t, mail);
  const count = 1000;
  for (let round = 0; round < 10; round += 1) {
    const words = Array.from({ length: count }, (_word, at) => `F${round}X${at} \0 \x7f\r\n`);
    await client.play(send(words.join(''), count));
    if (round === 5) await checkMail(t, mail);
  }
  assert.deepEqual(
    new Set(client.replies.slice(1)),
    new Set(['500 5.5.2 Error: command not recognized']),
  );
  assert.equal(client.replies.length, 1 + 10 * count);
  assert.ok(residentBytes(pid) - before < 64e6, 'memory');
  await command(client, 'QUIT');
  await mail.waitForLog(/disconnect from \S+ quit=1 unknown=0\/10000 commands=1\/10001$/);
});

test('connections that are half open, or say nothing, are given up', async (t) => {
  const mail = await start(t, { smtpd_timeout: '2s', service_processes: '1' });
  const sockets = await Promise.all(Array.from({ length: 60 }, () => connected(t, mail)));
  const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  for (const [at, socket] of sockets.entries()) {
    // One in three says nothing, one hangs up and still listens, one stops in the middle of a line.
    if (at % 3 === 1) socket.end('EHLO client.test\r\nNOOP\r\n');
    if (at % 3 === 2) socket.write('EHLO client.test\r\nMAIL FR');
    socket.resume();
  }
  await checkMail(t, mail);
  await Promise.all(closed);
  const lines = (what: RegExp) => mail.log().match(what)?.length ?? 0;
  await eventually('the end of all', () => lines(/disconnect from/g) === sockets.length + 1);
  assert.equal(lines(/timeout after CONNECT from/g), 20);
  assert.equal(lines(/lost connection after (?:EHLO|NOOP) from/g), 20);
  assert.equal(lines(/timeout after EHLO from/g), 20);
  await checkMail(t, mail);
});

test('a client that drips keeps nobody waiting', async (t) => {
  const mail = await start(t);
  const slow = await meet(t, mail);
  for (const byte of 'EHLO client.te') {
    await slow.play(send(byte, 0));
    await sleep(1);
  }
  await checkMail(t, mail);
  await slow.play(send('st\r\n'));
  assert.match(slow.replies.at(-1) ?? '', /^250-/);
});

test('a client that drips has a limit for each command, where there is one', async (t) => {
  const mail = await start(t, { smtpd_timeout: '1s', smtpd_per_request_deadline: 'yes' });
  const slow = await meet(t, mail);
  for (let count = 0; count < 500 && !slow.hasEnded; count += 1) {
    await slow.play(send('x', 0));
    await sleep(20);
  }
  await slow.awaitEnd();
  // It may never hear of it: the last bytes come when nobody listens any more.
  await mail.waitForLog(/smtpd\[\d+\]: timeout after CONNECT from unknown/);
});

test('a line without an end is not waited for', async (t) => {
  const mail = await start(t);
  const client = await meet(t, mail);
  await client.play(send('x'.repeat(50_000)));
  assert.equal(client.replies.at(-1), '421 4.7.0 mx.lab.test Error: command too long');
  await client.awaitEnd();
});

test('a client that hangs up in its content leaves nothing behind', async (t) => {
  const mail = await start(t);
  for (const hangUp of ['end', 'destroy', 'resetAndDestroy'] as const) {
    const client = await meet(t, mail);
    await command(client, ...ENVELOPE, 'DATA');
    await client.play(send(`a: b\r\n\r\n${'hello\r\n'.repeat(20_000)}.`, 0));
    client.socket[hangUp]();
  }
  await eventually(
    'three lost connections',
    () => (mail.log().match(/lost connection after DATA \(\d+ bytes\)/g)?.length ?? 0) === 3,
  );
  await mail.waitUntilEmpty();
  assertNoTrouble(mail);
  assert.doesNotMatch(mail.log(), /status=sent/);
});

test('recipients beyond the limit are refused, the others get the message', async (t) => {
  const mail = await start(t);
  const client = await meet(t, mail);
  await command(client, 'EHLO client.test', 'MAIL FROM:<ann@client.test>');
  const commands = Array.from({ length: 1100 }, (_, at) => `RCPT TO:<user${at}@far.test>\r\n`);
  await client.play(send(commands.join(''), commands.length));
  const replies = client.replies.slice(-1100);
  assert.equal(replies.filter((reply) => reply === '250 2.1.5 Ok').length, 1000);
  assert.deepEqual(new Set(replies.slice(1000)), new Set(['452 4.5.3 Error: too many recipients']));
  assert.match(await command(client, 'DATA'), /^354 /);
  await client.play(MESSAGE);
  assert.match(client.replies.at(-1) ?? '', /^250 2\.0\.0 Ok: queued/);
  await mail.waitUntilEmpty();
  const sent = () => mail.log().match(/status=sent/g)?.length ?? 0;
  await eventually('a line for each recipient', () => sent() >= 1000);
  assert.equal(sent(), 1000);
  assertNoTrouble(mail);
});

test('a big message goes through in pieces', async (t) => {
  const megabytes = 64;
  const mail = await start(t, {
    message_size_limit: '100000000',
    service_processes: '1',
  });
  await checkMail(t, mail);
  const [pid] = processesOf(mail, 'smtpd');
  const before = peakMegabytes(pid);
  const client = await meet(t, mail);
  await command(client, ...ENVELOPE, 'DATA');
  const piece = `${'x'.repeat(78)}\r\n`.repeat(13_107);
  for (let count = 0; count < megabytes; count += 1) {
    if (!client.socket.write(piece)) {
      await new Promise((resolve) => client.socket.once('drain', resolve));
    }
  }
  await client.play(send('.\r\n'));
  assert.match(client.replies.at(-1) ?? '', /^250 2\.0\.0 Ok: queued/);
  const growth = peakMegabytes(pid) - before;
  assert.ok(growth < megabytes, `smtpd grew by ${growth} MB for a message of ${megabytes} MB`);
  await mail.waitUntilEmpty();
});

/** The largest size so far. */
function peakMegabytes(pid = 0): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

test('a message beyond the limit is read, refused, and nowhere', async (t) => {
  const mail = await start(t, { message_size_limit: '100000' });
  const client = await meet(t, mail);
  await command(client, ...ENVELOPE, 'DATA');
  await client.play(send(`a: b\r\n\r\n${'0123456789\r\n'.repeat(20_000)}.\r\n`));
  assert.equal(client.replies.at(-1), '552 5.3.4 Error: message file too big');
  assert.equal(await command(client, 'NOOP'), '250 2.0.0 Ok');
  await mail.waitUntilEmpty();
  await checkMail(t, mail);
});

test('when cleanup dies the client shall try again', async (t) => {
  const mail = await start(t);
  await checkMail(t, mail);
  await mail.waitUntilEmpty();
  const [inEnvelope, inContent] = [await meet(t, mail), await meet(t, mail)];
  await command(inEnvelope, ...ENVELOPE);
  await command(inContent, ...ENVELOPE, 'DATA');
  await inContent.play(send(`a: b\r\n\r\n${'hello\r\n'.repeat(20_000)}`, 0));
  for (const pid of processesOf(mail, 'cleanup')) process.kill(pid, 'SIGKILL');
  await inContent.play(send('world\r\n.\r\n'));
  assert.equal(inContent.replies.at(-1), '451 4.3.0 Error: queue file write error');
  await command(inEnvelope, 'DATA');
  await inEnvelope.play(MESSAGE);
  assert.equal(inEnvelope.replies.at(-1), '451 4.3.0 Error: queue file write error');
  // They may stay, and do better.
  for (const client of [inEnvelope, inContent]) {
    await command(client, ...ENVELOPE, 'DATA');
    await client.play(MESSAGE);
    assert.match(client.replies.at(-1) ?? '', /^250 2\.0\.0 Ok: queued/);
  }
  const sent = () => mail.log().match(/ status=sent /g)?.length ?? 0;
  await eventually('three deliveries', () => sent() === 3);
});

test('when addresses cannot be resolved the client shall try again', async (t) => {
  const only = [
    '127.0.0.1:0 inet n - n - - smtpd',
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
  ];
  const mail = await startMailSystem(t, { only, main: DISCARD });
  const client = await meet(t, mail);
  const reply = await command(client, ...ENVELOPE);
  assert.equal(reply, '451 4.3.0 <root@lab.test>: Temporary lookup failure');
});

test('a reload lets sessions finish, and new ones begin', async (t) => {
  const mail = await start(t, { service_processes: '1' });
  const old = await meet(t, mail);
  await command(old, ...ENVELOPE, 'DATA');
  await old.play(send('Subject: test\r\n', 0));
  const [before] = processesOf(mail, 'smtpd');
  mail.run('postfix', ['reload']);
  await mail.waitForLog(/reload -- version/);
  await checkMail(t, mail);
  assert.equal(processesOf(mail, 'smtpd').length, 2);
  await old.play(send('\r\nhello\r\n.\r\n'));
  assert.match(old.replies.at(-1) ?? '', /^250 2\.0\.0 Ok: queued/);
  await old.play('QUIT');
  await old.close();
  await eventually(
    'the end of the old process',
    () => !processesOf(mail, 'smtpd').includes(before ?? 0),
  );
});

test('a process that has served its time does not keep new clients waiting', async (t) => {
  const mail = await start(t, { max_use: '1', service_processes: '1', default_process_limit: '4' });
  const stays = await meet(t, mail);
  for (let count = 0; count < 85; count += 1) await checkMail(t, mail);
  assert.equal(await command(stays, 'NOOP'), '250 2.0.0 Ok');
  assertNoTrouble(mail);
});

test('the next client meets the tables as they are now', async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      ...DISCARD,
      relay_domains: 'relay.test',
      relay_recipient_maps: 'texthash:$config_directory/r',
    },
    files: { r: 'one@relay.test x\n' },
  });
  const old = await meet(t, mail);
  await command(old, 'EHLO client.test', 'MAIL FROM:<>');
  assert.match(await command(old, 'RCPT TO:<two@relay.test>'), /^550 5\.1\.1 /);
  writeFileSync(join(mail.config, 'r'), 'one@relay.test x\ntwo@relay.test x\n');
  await mail.waitForLog(/smtpd\[\d+\]: table texthash:\S+\/r has changed -- restarting/);
  const next = await meet(t, mail);
  await command(next, 'EHLO client.test', 'MAIL FROM:<>');
  assert.equal(await command(next, 'RCPT TO:<two@relay.test>'), '250 2.1.5 Ok');
  assert.equal(await command(old, 'NOOP'), '250 2.0.0 Ok');
});

test('one client may not have all the connections', async (t) => {
  const mail = await start(t, {
    smtpd_client_connection_count_limit: '2',
    smtpd_client_event_limit_exceptions: '',
    service_processes: '1',
  });
  const first = await meet(t, mail);
  await meet(t, mail);
  const third = await meet(t, mail);
  assert.deepEqual(third.replies, [
    '421 4.7.0 mx.lab.test Error: too many connections from 127.0.0.1',
  ]);
  await third.awaitEnd();
  await command(first, 'QUIT');
  await first.close();
  const fourth = await eventually('a place', async () => {
    const client = await meet(t, mail);
    return client.replies[0]?.startsWith('220') ? client : undefined;
  });
  assert.equal(await command(fourth, 'NOOP'), '250 2.0.0 Ok');
  await mail.waitForLog(
    /warning: Connection concurrency limit exceeded: 3 from unknown\[127\.0\.0\.1\] for service /,
  );
});
