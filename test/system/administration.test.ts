/** What postfix(1) does besides start and stop: by ours and by the real one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { atEnd } from '../support/cleanup.ts';
import { eventually } from '../support/condition.ts';
import type { MailSystem } from '../support/mail-system.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';
import { MAKERS, NAMES, runTool, startSystemOf } from './makers.ts';

const SERVICES = ['127.0.0.1:0 inet n - n - - smtpd', 'rewrite unix - - n - - trivial-rewrite'];
/** Without which Postfix's smtpd does not greet. */
const MORE = ['anvil unix - - n - 1 anvil', 'proxymap unix - - n - - proxymap'];

for (const maker of MAKERS) {
  const only = maker === 'real' ? [...SERVICES, ...MORE] : SERVICES;
  const options = { skip: maker === 'real' && whyNoPostfix() };
  const start = (t: TestContext, main: Record<string, string> = {}, stopped = false) =>
    startSystemOf(t, maker, { relayPort: 1, main, stopped, only });
  const postfix = (mail: MailSystem, ...args: string[]) => runTool(maker, mail, 'postfix', args);
  const rotated = (mail: MailSystem) =>
    readdirSync(mail.directory).filter((name) => name.startsWith('maillog.'));

  test(`logrotate of ${NAMES[maker]}: date, reload, compressed`, options, async (t) => {
    const mail = await start(t);
    const old = await mail.waitForLog(/daemon started/);
    assert.equal(postfix(mail, 'logrotate').status, 0);
    const [name = '', ...others] = rotated(mail);
    assert.deepEqual(others, []);
    assert.match(name, /^maillog\.\d{8}-\d{6}\.gz$/);
    const text = gunzipSync(readFileSync(join(mail.directory, name))).toString();
    assert.ok(text.includes(old));
    // Postfix's master hands its line to a postlogd that may not know of the new file yet.
    if (maker === 'real') return;
    await mail.waitForLog(/master\[\d+\]: reload -- version/);
    assert.ok(!mail.log().includes('daemon started'));
  });

  test(`logrotate of ${NAMES[maker]} as main.cf wants it`, options, async (t) => {
    const main = {
      maillog_file_compressor: 'bzip2',
      maillog_file_rotate_suffix: 'old-%%-%Y',
    };
    const mail = await start(t, main);
    await mail.waitForLog(/daemon started/);
    const { status, stderr } = postfix(mail, 'logrotate');
    const expected = `maillog.old-%-${new Date().getFullYear()}`;
    const hasBzip2 = spawnSync('bzip2', ['--help']).error === undefined;
    assert.equal(status, hasBzip2 ? 0 : 1, stderr);
    assert.deepEqual(rotated(mail), [expected + (hasBzip2 ? '.bz2' : '')]);
  });

  for (const [what, main, args, complaint] of [
    ['an argument', {}, ['now'], 'usage postfix logrotate (no arguments)'],
    [
      'no compressor',
      { maillog_file_compressor: '' },
      [],
      "empty 'maillog_file_compressor' parameter value - logfile rotation failed",
    ],
    [
      'stdout',
      { maillog_file: '/dev/stdout', maillog_file_prefixes: '/dev/stdout' },
      [],
      "not rotating '/dev/stdout'",
    ],
    ['no log file', { maillog_file: '' }, [], "empty 'maillog_file' parameter value"],
    ['a compressor that fails', { maillog_file_compressor: 'false' }, [], 'rotation failed'],
  ] as const) {
    test(`logrotate of ${NAMES[maker]} refuses ${what}`, options, async (t) => {
      const mail = await start(t, main, true);
      // For the last one there has to be a file.
      postfix(mail, 'status');
      const { status, stdout, stderr } = postfix(mail, 'logrotate', ...args);
      assert.equal(status, 1);
      // Postfix's says it to syslog: nobody is at the terminal.
      if (maker === 'real') return;
      const said = stdout + stderr + mail.log();
      const old = rotated(mail).map((name) => readFileSync(join(mail.directory, name), 'utf8'));
      assert.ok((said + old.join('')).includes('fatal: '), said);
      assert.ok((said + old.join('')).includes(complaint), said);
    });
  }

  test(`drain of ${NAMES[maker]}: master is gone, clients are served`, options, async (t) => {
    const mail = await start(t);
    const client = connect(mail.port, '127.0.0.1');
    atEnd(t, () => {
      client.destroy();
    });
    let text = '';
    client.on('data', (bytes) => {
      text += bytes.toString();
    });
    await eventually('a greeting', () => text.startsWith('220 '));
    const pid = mail.masterPid();
    assert.equal(postfix(mail, 'drain').status, 0);
    await mail.waitForLog(/postfix-script\[\d+\]: stopping the Postfix mail system/);
    await eventually('no master', () => !existsSync(`/proc/${pid}`));
    client.write('EHLO client.test\r\n');
    await eventually('a reply', () => text.includes('250'));
    client.end('QUIT\r\n');
    await eventually('farewell', () => text.includes('221 '));
    assert.equal(postfix(mail, 'status').status, 1);
    assert.equal(postfix(mail, 'drain').status, 1);
  });

  test(`quick-stop of ${NAMES[maker]}: the next start checks nothing`, options, async (t) => {
    const mail = await start(t);
    const mark = join(mail.queue, 'quick-start');
    assert.equal(postfix(mail, 'quick-stop').status, 0);
    assert.equal(postfix(mail, 'status').status, 1);
    assert.ok(existsSync(mark));
    // Each start that checks would warn of it.
    const queue = join(mail.queue, 'hold');
    spawnSync('chmod', ['777', queue]);
    assert.equal(postfix(mail, 'start').status, 0);
    assert.ok(!existsSync(mark));
    assert.doesNotMatch(mail.log(), /postfix-script\[\d+\]: warning/);
    assert.equal(postfix(mail, 'stop').status, 0);
    assert.equal(postfix(mail, 'quick-start').status, 1);
    assert.match(await said(mail), /fatal: unknown command: 'quick-start'/);
  });
}

async function said(mail: MailSystem): Promise<string> {
  return mail.waitForLog(/unknown command/);
}
