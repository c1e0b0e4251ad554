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
  for (const name of readdirSync(folder)) {
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
