/**
 * Stopping, starting and reloading, kindly and not: no mail is lost, none arrives twice that need
 * not, and a mistake in main.cf does not take the running system down.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { atEnd } from '../support/cleanup.ts';
import { eventually } from '../support/condition.ts';
import { BUILD, type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { converse } from '../support/smtp-client.ts';
import { type SmtpPeer, startSmtpPeer } from '../support/smtp-peer.ts';
import { troubleIn } from './log-trouble.ts';
import { processesOf, waitUntilGone } from './processes.ts';

const skip = process.getuid?.() === 0 ? false : 'a mail system with a postfix user needs root';
const FROM = 'sender@lab.test';

interface Scene {
  readonly mail: MailSystem;
  readonly peer: SmtpPeer;
  /** From now on the peer takes everything at once. */
  accept(): void;
}

async function arrange(t: TestContext, main: Record<string, string> = {}): Promise<Scene> {
  let accepting = false;
  const peer = await startSmtpPeer(t, {
    RCPT: (argument) => {
      if (accepting || argument.includes('friend') || argument.includes('end@')) return '250 Ok';
      return argument.includes('slow') ? 'silent' : '450 4.7.1 come back later';
    },
    END_OF_DATA: (_, { messages }) => {
      const toEnd = messages.at(-1)?.recipients.includes('end@far.test');
      return toEnd && !accepting ? 'silent' : '250 2.0.0 Ok';
    },
  });
  const mail = await startMailSystem(t, {
    main: { relayhost: `[127.0.0.1]:${peer.port}`, ...main },
  });
  return {
    mail,
    peer,
    accept() {
      accepting = true;
    },
  };
}

/** `subject to recipient` of all that the peer took, sorted. */
function arrivedAt(peer: SmtpPeer): string[] {
  const subject = (content: string) => /^Subject: (.*)\r$/m.exec(content)?.[1];
  return peer.messages
    .flatMap(({ content, recipients }) => recipients.map((to) => `${subject(content)} to ${to}`))
    .sort();
}

test('after kill -9 of master with mail in every queue all of it is delivered', {
  skip,
}, async (t) => {
  const { mail, peer, accept } = await arrange(t, {
    qmgr_message_active_limit: '1',
    qmgr_clog_warn_time: '0',
  });
  const send = (subject: string, to: string) => mail.send({ from: FROM, to: [to], subject });
  for (const subject of ['deferred', 'held', 'requeued']) await send(subject, 'later@far.test');
  await eventually('three deferred messages', () => mail.ids('deferred').length === 3);
  const idOf = (subject: string) =>
    mail
      .ids('deferred')
      .find((id) => mail.run('postcat', ['-qh', id]).stdout.includes(`Subject: ${subject}`)) ?? '';
  mail.run('postsuper', ['-h', idOf('held')]);
  mail.run('postsuper', ['-r', idOf('requeued')]);
  await send('active', 'slow@far.test');
  await peer.waitFor(() => peer.commands.some((command) => command.includes('slow')));
  await send('incoming', 'friend@far.test');
  const queues = ['maildrop', 'incoming', 'active', 'deferred', 'hold'];
  assert.deepEqual(
    queues.map((queue) => mail.ids(queue).length),
    [1, 1, 1, 1, 1],
  );

  const visitor = connect(mail.port, '127.0.0.1');
  atEnd(t, () => visitor.destroy());
  await once(visitor, 'data');
  const agent = processesOf(mail).find(({ name }) => name === 'smtp');
  assert.ok(agent);
  process.kill(mail.masterPid(), 'SIGKILL');
  accept();
  mail.start();
  mail.run('postsuper', ['-H', 'ALL']);
  mail.run('postqueue', ['-f']);
  // The agent of before has not given up: its message is left to it.
  await mail.waitForLog(/skipped, still being delivered/);
  await peer.waitForMessages(4);
  process.kill(agent.pid, 'SIGKILL');
  mail.run('postqueue', ['-f']);
  await mail.waitUntilEmpty();
  assert.deepEqual(arrivedAt(peer), [
    'active to slow@far.test',
    'deferred to later@far.test',
    'held to later@far.test',
    'incoming to friend@far.test',
    'requeued to later@far.test',
  ]);
  assert.deepEqual(troubleIn(mail.log()), []);
});

for (const verb of ['stop', 'abort']) {
  test(`postfix ${verb} ends a delivery, and start takes it up again`, { skip }, async (t) => {
    const { mail, peer, accept } = await arrange(t);
    await mail.send({ from: FROM, to: ['end@far.test'], subject: 'half way' });
    await peer.waitForMessages(1);
    assert.equal(mail.run('postfix', [verb]).status, 0);
    await waitUntilGone(mail);
    assert.doesNotMatch(mail.log(), /with force/);
    assert.equal(mail.run('postfix', ['status']).status, 1);
    assert.equal(mail.ids('active').length, 1);
    accept();
    mail.start();
    await mail.waitUntilEmpty();
    // The peer had it, but never said so.
    assert.equal(peer.messages.length, 2);
    assert.deepEqual(troubleIn(mail.log()), []);
  });
}

const CLIENTS = 4;
const MESSAGES_EACH = 40;
const RELOADS = 5;

test('reload under load loses no connection and no message, and doubles none', {
  skip,
}, async (t) => {
  const { mail, peer } = await arrange(t);
  const master = mail.masterPid();
  const sessions = Array.from({ length: CLIENTS }, (_, client) => {
    const message = (at: number) => [
      `MAIL FROM:<${FROM}>`,
      'RCPT TO:<friend@far.test>',
      'DATA',
      `Subject: ${client}-${at}\r\n\r\nhello\r\n.`,
    ];
    const commands = Array.from({ length: MESSAGES_EACH }, (_, at) => message(at)).flat();
    return converse(mail.port, ['EHLO client.test', ...commands, 'QUIT']);
  });
  // Others come and go; who is refused throws.
  let visits = 0;
  let reloading = true;
  const visitor = (async () => {
    for (; reloading; visits += 1) {
      await mail.send({ from: FROM, to: ['friend@far.test'], subject: `visit ${visits}` });
    }
  })();
  for (let reloads = 1; reloads <= RELOADS; reloads += 1) {
    const enough = ((CLIENTS * MESSAGES_EACH) / (RELOADS + 1)) * reloads;
    await eventually('some deliveries', () => peer.messages.length >= enough);
    await promisify(execFile)(join(BUILD, 'bin/postfix'), ['-c', mail.config, 'reload']);
    await eventually('reload', () => (mail.log().match(/ reload -- /g) ?? []).length === reloads);
  }
  reloading = false;
  await visitor;
  for (const replies of await Promise.all(sessions)) {
    assert.equal(replies.length, 3 + MESSAGES_EACH * 4);
    assert.deepEqual(
      replies.filter((reply) => !/^[23]/.test(reply)),
      [],
    );
  }
  await mail.waitUntilEmpty();
  const expected = Array.from({ length: CLIENTS * MESSAGES_EACH }, (_, at) => {
    return `${at % CLIENTS}-${Math.floor(at / CLIENTS)} to friend@far.test`;
  });
  for (let visit = 0; visit < visits; visit += 1) {
    expected.push(`visit ${visit} to friend@far.test`);
  }
  assert.deepEqual(arrivedAt(peer), expected.sort());
  assert.equal(mail.masterPid(), master);
  assert.deepEqual(troubleIn(mail.log()), []);
});

test('a mistake in main.cf or master.cf leaves the running system as it is', {
  skip,
}, async (t) => {
  const { mail, peer } = await arrange(t);
  const master = mail.masterPid();
  let count = 0;
  const delivers = async () => {
    count += 1;
    await mail.send({ from: FROM, to: ['friend@far.test'] });
    await peer.waitForMessages(count);
  };
  await delivers();
  for (const [file, mistake, complaint] of [
    ['main.cf', 'no equals sign here\n', /main\.cf.*line \d+/],
    ['master.cf', 'smtp inet n - n - smtpd\n', /master\.cf.*line \d+/],
  ] as const) {
    const path = join(mail.config, file);
    const good = readFileSync(path, 'utf8');
    writeFileSync(path, good + mistake);
    const { status, stderr } = mail.run('postfix', ['reload']);
    assert.notEqual(status, 0, file);
    assert.match(stderr, complaint);
    process.kill(master, 'SIGHUP');
    await mail.waitForLog(/reload failed, the running mail system is unchanged: .*line \d+/);
    await delivers();
    writeFileSync(path, good);
    assert.equal(mail.run('postfix', ['reload']).status, 0);
    await delivers();
  }
  assert.equal(mail.masterPid(), master);
  assert.ok(processesOf(mail).some(({ name }) => name === 'master'));
});
