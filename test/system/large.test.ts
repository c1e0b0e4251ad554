/** Much at once does not need much memory: many recipients of one message, and a long message. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { eventually } from '../support/condition.ts';
import { type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { troubleIn } from './log-trouble.ts';
import { memoryOf, processesOf } from './processes.ts';

const skip = process.getuid?.() === 0 ? false : 'a mail system with a postfix user needs root';
const BOX = 'games';
const MEMORY_BYTES_MAX = 200 * 1024 * 1024;
const LIMIT_MS = 120_000;

const RECIPIENTS = 20_000;

test('a message with 20,000 recipients fits into bounded memory', { skip }, async (t) => {
  const mail = await startMailSystem(t, {
    main: { default_transport: 'discard', smtpd_recipient_limit: '50000' },
  });
  const session = await open(mail.port);
  const recipients = Array.from({ length: RECIPIENTS }, (_, at) => `RCPT TO:<user${at}@far.test>`);
  session.say(['EHLO client.test', `MAIL FROM:<${BOX}@lab.test>`, ...recipients, 'DATA']);
  assert.match(await session.until(/^354 |^[45]\d\d /), /^354 /);
  session.say(['Subject: to all', '', 'hello', '.', 'QUIT']);
  assert.match(await session.until(/^250 2\.0\.0 Ok: queued|^[45]\d\d /), /^250 /);
  const done = () => (mail.log().match(/relay=none, .* status=sent \(far\.test\)/g) ?? []).length;
  await mail.waitUntilEmpty(LIMIT_MS);
  checkMemory(t, mail, ['smtpd', 'cleanup', 'qmgr', 'trivial-rewrite', 'discard']);
  await eventually('all log lines', () => done() === RECIPIENTS).catch(() => {});
  assert.equal(done(), RECIPIENTS);
});

const LONG_BYTES = 30 * 1024 * 1024;
const LINE_BYTES = 72;

test('a message of 30 MB is streamed to a Maildir, byte for byte', { skip }, async (t) => {
  const mail = await startMailSystem(t, {
    mailDirectory: true,
    main: {
      mail_spool_directory: '$config_directory/../mail/',
      home_mailbox: '',
      message_size_limit: String(2 * LONG_BYTES),
      mailbox_size_limit: '0',
    },
  });
  const session = await open(mail.port);
  session.say([
    'EHLO client.test',
    `MAIL FROM:<${BOX}@lab.test>`,
    `RCPT TO:<${BOX}@lab.test>`,
    'DATA',
  ]);
  assert.match(await session.until(/^354 |^[45]\d\d /), /^354 /);
  session.say(['Subject: long', '']);
  const sent = createHash('sha256');
  for (let bytes = 0; bytes < LONG_BYTES; ) {
    const lines = Array.from({ length: 1000 }, () => randomBytes(LINE_BYTES / 2).toString('hex'));
    for (const line of lines) sent.update(`${line}\n`);
    bytes += lines.length * (LINE_BYTES + 2);
    await session.sayAll(lines);
  }
  session.say(['.', 'QUIT']);
  assert.match(await session.until(/^250 2\.0\.0 Ok: queued|^[45]\d\d /), /^250 /);
  const folder = join(mail.directory, 'mail', BOX, 'new');
  const [name = ''] = await eventually(
    'the message',
    () => namesIn(folder).length > 0 && namesIn(folder),
    LIMIT_MS,
  );
  assert.equal(await bodyHash(join(folder, name)), sent.digest('hex'));
  await mail.waitUntilEmpty();
  checkMemory(t, mail, ['smtpd', 'cleanup', 'qmgr', 'local']);
  assert.deepEqual(troubleIn(mail.log()), []);
});

/** None of these ever had more memory than they may; all of them are there to be asked. */
function checkMemory(t: TestContext, mail: MailSystem, names: readonly string[]): void {
  const processes = processesOf(mail);
  for (const name of names) {
    const peaks = processes
      .filter((each) => each.name === name)
      .map(({ pid }) => memoryOf(pid).peakBytes);
    assert.ok(peaks.length > 0, `${name} runs`);
    t.diagnostic(`${name}: at most ${peaks.map((peak) => Math.ceil(peak / 2 ** 20))} MB`);
    for (const peak of peaks) assert.ok(peak < MEMORY_BYTES_MAX, `${name} needed ${peak} bytes`);
  }
}

function namesIn(folder: string): string[] {
  return statSync(folder, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(folder);
}

/** The hash of what follows the first empty line. */
async function bodyHash(path: string): Promise<string> {
  const hash = createHash('sha256');
  let inBody = false;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (inBody) hash.update(`${line}\n`);
    inBody ||= line === '';
  }
  return hash.digest('hex');
}

interface Session {
  /** Lines that need no answer before the next. */
  say(lines: readonly string[]): void;
  /** The same, as fast as the server takes them. */
  sayAll(lines: readonly string[]): Promise<void>;
  /** The first line of a reply that matches. */
  until(pattern: RegExp): Promise<string>;
}

/** Talks to an SMTP server without waiting for each reply. */
async function open(port: number): Promise<Session> {
  const socket: Socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const replies = createInterface({ input: socket })[Symbol.asyncIterator]();
  const say = (lines: readonly string[]) => socket.write(`${lines.join('\r\n')}\r\n`);
  return {
    say,
    async sayAll(lines) {
      if (!say(lines)) await once(socket, 'drain');
    },
    async until(pattern) {
      for (;;) {
        const { done, value } = await replies.next();
        if (done) throw new Error('the server has hung up');
        if (pattern.test(value)) return value;
      }
    },
  };
}
