/** Where lines go, and in what form. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FatalError } from '../../../lib/log/fatal.ts';
import { openLog } from '../../../lib/log/log.ts';
import { LogFile } from '../../../lib/log/log-file.ts';
import { atEnd } from '../../support/cleanup.ts';
import { freshDirectory } from '../../support/directories.ts';

function configuration(values: Record<string, string>) {
  const all: Record<string, string> = {
    myhostname: 'mail.example.com',
    syslog_name: 'postfix',
    maillog_file_prefixes: '/',
    ...values,
  };
  return { text: (name: string) => all[name] ?? '' };
}

test('a daemon appends to maillog_file: prefix, severity, text', (t) => {
  const file = join(freshDirectory(t), 'mail.log');
  const log = openLog({ program: 'smtpd', configuration: configuration({ maillog_file: file }) });
  log.info({ kind: 'connect', client: 'unknown[127.0.0.1]' });
  log.warn('careful');
  log.error('oh');
  log.debug('not said');
  assert.equal(
    existsSync(file) && readFileSync(file, 'utf8'),
    '',
    'lines are collected for a turn',
  );
  log.fatal('the end');
  log.panic('worse');
  const lines = readFileSync(file, 'utf8').split('\n');
  const prefix = /^[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d mail postfix\/smtpd\[\d+\]: /;
  for (const line of lines.slice(0, -1)) assert.match(line, prefix);
  assert.deepEqual(
    lines.map((line) => line.replace(prefix, '')),
    [
      'connect from unknown[127.0.0.1]',
      'warning: careful',
      'error: oh',
      'fatal: the end',
      'panic: worse',
      '',
    ],
  );
  assert.equal(log.tag, 'postfix/smtpd');
});

test('lines of one turn of the event loop are one write', async (t) => {
  const file = join(freshDirectory(t), 'mail.log');
  const log = openLog({ program: 'x', configuration: configuration({ maillog_file: file }) });
  log.info('one');
  log.info('two');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(readFileSync(file, 'utf8').split('\n').length, 3);
});

test('events are counted', (t) => {
  const file = join(freshDirectory(t), 'mail.log');
  const log = openLog({ program: 'x', configuration: configuration({ maillog_file: file }) });
  log.info({ kind: 'removed', queueId: 'A1' });
  log.info({ kind: 'removed', queueId: 'A2' });
  log.info('text');
  log.info({
    kind: 'delivery',
    queueId: 'A1',
    to: 'a@b',
    relay: 'none',
    delay: 0,
    delays: [0, 0, 0, 0],
    dsn: '4.0.0',
    status: 'deferred',
    text: 'x',
  });
  assert.deepEqual(
    [...log.counters],
    [
      ['removed', 2],
      ['delivery.deferred', 1],
    ],
  );
});

test('maillog_format = json: the event with all its fields, and its line', (t) => {
  const file = join(freshDirectory(t), 'mail.log');
  const values = { maillog_file: file, maillog_format: 'json' };
  const log = openLog({ program: 'smtpd', configuration: configuration(values) });
  log.warn({
    kind: 'reject',
    action: 'reject',
    stage: 'RCPT',
    client: 'c[1.2.3.4]',
    text: '554 5.7.1 no\nway',
    protocol: 'ESMTP',
    rule: 'main.cf:12',
  });
  log.flush();
  const { time, pid, ...rest } = JSON.parse(readFileSync(file, 'utf8'));
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(pid, process.pid);
  assert.deepEqual(rest, {
    level: 'warning',
    host: 'mail',
    tag: 'postfix/smtpd',
    event: 'reject',
    action: 'reject',
    stage: 'RCPT',
    client: 'c[1.2.3.4]',
    text: '554 5.7.1 no?way',
    protocol: 'ESMTP',
    rule: 'main.cf:12',
    message: 'NOQUEUE: reject: RCPT from c[1.2.3.4]: 554 5.7.1 no?way; proto=ESMTP',
  });
});

test('smtputf8_enable = no: no UTF-8 in the log', (t) => {
  const file = join(freshDirectory(t), 'mail.log');
  const values = { maillog_file: file, smtputf8_enable: 'no' };
  const log = openLog({ program: 'x', configuration: configuration(values) });
  log.info('ré');
  log.flush();
  assert.match(readFileSync(file, 'utf8'), /: r\?\?\n$/);
});

test('a file outside maillog_file_prefixes is refused by name', () => {
  const values = { maillog_file: '/x', maillog_file_prefixes: '/var, /dev/stdout' };
  assert.throws(
    () => openLog({ program: 'x', configuration: configuration(values) }),
    (error) =>
      error instanceof FatalError &&
      error.message ===
        "maillog_file value '/x' does not match any prefix in maillog_file_prefixes",
  );
});

test('maillog_file_permissions holds in spite of the umask', (t) => {
  const folder = freshDirectory(t);
  const umask = process.umask(0o077);
  atEnd(t, () => process.umask(umask));
  for (const [permissions, mode] of [
    ['', 0o600],
    ['0640', 0o640],
    ['0644', 0o644],
  ] as const) {
    const file = join(folder, `mail.log${permissions}`);
    const values = { maillog_file: file, maillog_file_permissions: permissions };
    openLog({ program: 'x', configuration: configuration(values) });
    assert.equal(statSync(file).mode & 0o777, mode);
  }
});

test('a rotated file is followed', async (t) => {
  const file = join(freshDirectory(t), 'mail.log');
  const log = LogFile.open(file, { lookAfterMs: 0 });
  log?.append('before');
  log?.flush();
  renameSync(file, `${file}.1`);
  log?.append('after');
  log?.flush();
  assert.equal(readFileSync(`${file}.1`, 'utf8'), 'before\n');
  assert.equal(readFileSync(file, 'utf8'), 'after\n');
});

test('after a rotation postlogd gets the lines of who may not open the file', (t) => {
  const folder = freshDirectory(t);
  const file = join(folder, 'log', 'mail.log');
  mkdirSync(join(folder, 'log'));
  const handed: string[] = [];
  const log = LogFile.open(file, {
    lookAfterMs: 0,
    hand: (line) => handed.push(line) < 2,
  });
  // No such directory any more: like an unreachable one, for root too.
  renameSync(join(folder, 'log'), join(folder, 'old'));
  log?.append('one');
  log?.append('two');
  log?.flush();
  assert.deepEqual(handed, ['one', 'two']);
  assert.equal(readFileSync(join(folder, 'old', 'mail.log'), 'utf8'), 'two\n', 'nobody took it');
});

test('what a process logs just before it exits is not lost', (t) => {
  const folder = freshDirectory(t);
  const file = join(folder, 'mail.log');
  const program = join(process.cwd(), 'build/test/lib/log/exiting.cjs');
  const { status } = spawnSync(process.execPath, [program, file]);
  assert.equal(status, 3);
  assert.equal(readFileSync(file, 'utf8').split('\n').length, 101);
});

test('a command tells its terminal, and the log', (t) => {
  const file = join(freshDirectory(t), 'mail.log');
  const program = join(process.cwd(), 'build/test/lib/log/exiting.cjs');
  const { stderr } = spawnSync(process.execPath, [program, file, 'both'], { encoding: 'utf8' });
  assert.equal(stderr.split('\n')[0], 'postmap: warning: line 0');
  assert.match(readFileSync(file, 'utf8'), /postfix\/postmap\[\d+\]: warning: line 0\n/);
});

test('a reader of stdout that is slow gets every line, and stops nobody', async () => {
  const program = join(process.cwd(), 'build/test/lib/log/talking.cjs');
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) text += chunk;
  const lines = text.split('\n');
  assert.equal(lines.length, 4001);
  assert.match(lines[3999] ?? '', /: line 3999 é+$/);
});
