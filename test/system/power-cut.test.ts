/**
 * The power goes when the disk has but a part of what was answered for: the journal has the rest.
 * What the page cache had is taken away by hand, and the journal is made to be of another start.
 */
import assert from 'node:assert/strict';
import {
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatEntry, parseEntries } from '../../lib/queue/journal-entry.ts';
import { eventually } from '../support/condition.ts';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { startSmtpPeer } from '../support/smtp-peer.ts';
import { processesOf, waitUntilGone } from './processes.ts';

const SESSIONS = 20;
/** So many are delivered first: their files are free for others. */
const BUSY = 400;
/** How many each session sends when they are no longer delivered. */
const LATE = 8;

const skip = process.getuid?.() === 0 ? false : 'a mail system with a postfix user needs root';

/** All processes end at once, and the machine starts anew. */
async function cutPower(mail: MailSystem): Promise<void> {
  // master first, or it starts what ends.
  process.kill(mail.masterPid(), 'SIGKILL');
  for (const { pid } of processesOf(mail)) process.kill(pid, 'SIGKILL');
  await waitUntilGone(mail);
  startAnew(mail);
}

/** To whoever reads the journal now, the machine has started anew since it was written. */
function startAnew(mail: MailSystem): void {
  const folder = join(mail.queue, 'journal');
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const { name } = entry;
    const entries = [...parseEntries(readFileSync(join(folder, name)))];
    const older = entries.map((entry) =>
      entry.kind === 'start' ? { ...entry, boot: 'the start before' } : entry,
    );
    writeFileSync(
      join(folder, name),
      Buffer.concat(older.flatMap((entry) => formatEntry(entry, 1))),
    );
  }
}

test('mail that was answered for arrives, though the disk had none of it', { skip }, async (t) => {
  let accepting = false;
  const peer = await startSmtpPeer(t, {
    RCPT: () => (accepting ? '250 Ok' : '450 4.7.1 come back later'),
  });
  const mail = await startMailSystem(t, { main: { relayhost: `[127.0.0.1]:${peer.port}` } });
  const subjects = ['one', 'two', 'three', 'four', 'five', 'six'];
  await Promise.all(
    subjects.map((subject) => mail.send({ from: 'ann@lab.test', to: ['bob@far.test'], subject })),
  );
  await cutPower(mail);
  const queues = ['incoming', 'active', 'deferred'] as const;
  const paths = queues.flatMap((queue) =>
    mail
      .ids(queue)
      .map((id) => (queue === 'deferred' ? `${queue}/${id[0]}/${id}` : `${queue}/${id}`)),
  );
  assert.equal(paths.length, subjects.length);
  paths.forEach((path, index) => {
    // A third of them whole, a third without content, a third not there.
    if (index % 3 === 1) truncateSync(join(mail.queue, path));
    if (index % 3 === 2) unlinkSync(join(mail.queue, path));
  });
  accepting = true;
  mail.start();
  mail.run('postqueue', ['-f']);
  await mail.waitUntilEmpty();
  assert.deepEqual(
    peer.messages.map(({ content }) => /^Subject: (.*)\r$/m.exec(content)?.[1]).sort(),
    subjects.sort(),
  );
  const restored = mail.log().match(/: restored .* from the journal: the disk /g) ?? [];
  assert.equal(restored.length, 4);
  const own = () => readdirSync(join(mail.queue, 'journal')).length;
  await eventually('nothing of the processes before', () => own() === 0);
});

test('mail in queue files that are in their second use is as safe', { skip }, async (t) => {
  let accepting = true;
  const peer = await startSmtpPeer(t, {
    RCPT: () => (accepting ? '250 Ok' : '450 4.7.1 come back later'),
  });
  const mail = await startMailSystem(t, { main: { relayhost: `[127.0.0.1]:${peer.port}` } });
  const accepted: string[] = [];
  const bodyOf = (subject: string) => `this is ${subject}\r\n`.repeat(200);
  const sendOne = async () => {
    const subject = `message-${accepted.length}`;
    accepted.push(subject);
    const message = { from: 'ann@lab.test', to: ['bob@far.test'], subject };
    await mail.send({ ...message, body: bodyOf(subject) });
  };
  const session = async () => {
    while (peer.messages.length < BUSY) await sendOne();
    accepting = false;
    for (let count = 0; count < LATE; count += 1) await sendOne();
  };
  await Promise.all(Array.from({ length: SESSIONS }, session));
  await cutPower(mail);
  const files = waiting(mail);
  const used = files.filter((file) => isSecondUse(file));
  assert.ok(used.length >= LATE, `${used.length} of ${files.length} files in their second use`);
  const other = readFileSync(used[0] as string);
  used.forEach((file, index) => {
    // Whole, cut somewhere, with another message's text, not there.
    if (index % 4 === 1) truncateSync(file, Math.floor(statSync(file).size / (1 + (index % 5))));
    if (index % 4 === 2) writeFileSync(file, other);
    if (index % 4 === 3) unlinkSync(file);
  });
  accepting = true;
  mail.start();
  mail.run('postqueue', ['-f']);
  await mail.waitUntilEmpty();
  const arrived = new Map(
    peer.messages.map(({ content }) => [/^Subject: (.*)\r$/m.exec(content)?.[1], content]),
  );
  assert.deepEqual([...arrived.keys()].sort(), accepted.sort());
  for (const [subject = '', content] of arrived) {
    assert.ok(content.endsWith(`\r\n\r\n${bodyOf(subject)}\r\n`), `${subject}: ${content}`);
  }
});

/** The queue files of all messages that wait. */
function waiting(mail: MailSystem): string[] {
  const inQueue = (queue: string) =>
    mail
      .ids(queue)
      .map((id) => (queue === 'deferred' ? `${id[0]}/${id}` : id))
      .map((name) => join(mail.queue, queue, name));
  return ['incoming', 'active', 'deferred'].flatMap(inQueue);
}

/** A file that was made some time before the message in it was written. */
function isSecondUse(file: string): boolean {
  const { birthtimeMs, mtimeMs } = statSync(file);
  return mtimeMs - birthtimeMs > 20;
}

test('what was delivered just before a stop stays delivered when the machine starts anew', {
  skip,
}, async (t) => {
  const peer = await startSmtpPeer(t, {});
  const mail = await startMailSystem(t, { main: { relayhost: `[127.0.0.1]:${peer.port}` } });
  const subjects = ['one', 'two', 'three', 'four', 'five'];
  await Promise.all(
    subjects.map((subject) => mail.send({ from: 'ann@lab.test', to: ['bob@far.test'], subject })),
  );
  await mail.waitUntilEmpty();
  mail.stop();
  startAnew(mail);
  mail.start();
  // Whatever was there at the start is in front of this one.
  await mail.send({ from: 'ann@lab.test', to: ['bob@far.test'], subject: 'last' });
  await eventually('the last message', () => peer.messages.length > subjects.length);
  await mail.waitUntilEmpty();
  assert.deepEqual(
    peer.messages.map(({ content }) => /^Subject: (.*)\r$/m.exec(content)?.[1]).sort(),
    [...subjects, 'last'].sort(),
  );
  assert.doesNotMatch(mail.log(), /restored/);
});

test('what a stop makes from the journal belongs to the daemons', { skip }, async (t) => {
  const peer = await startSmtpPeer(t, { RCPT: () => '450 4.7.1 come back later' });
  const mail = await startMailSystem(t, { main: { relayhost: `[127.0.0.1]:${peer.port}` } });
  await mail.send({ from: 'ann@lab.test', to: ['bob@far.test'], subject: 'one' });
  await cutPower(mail);
  for (const queue of ['incoming', 'active', 'deferred']) {
    rmSync(join(mail.queue, queue), { recursive: true });
  }
  // Nobody else comes to it before the stop.
  const services = join(mail.config, 'master.cf');
  const lines = readFileSync(services, 'utf8');
  writeFileSync(services, lines.replace(/^(?:qmgr|cleanup|pickup)\b/gm, '#$&'));
  mail.start();
  mail.stop();
  const [id = ''] = mail.ids('incoming');
  const { uid } = statSync(join(mail.queue, 'incoming', id));
  assert.notEqual(id, '');
  assert.equal(uid, statSync(join(mail.queue, 'journal')).uid);
  assert.notEqual(uid, 0);
  writeFileSync(services, lines);
  mail.start();
  await eventually('a deferred message', () => mail.ids('deferred').includes(id));
});
