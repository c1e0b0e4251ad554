/**
 * What becomes of mail that milters have changed, in whole mail systems: everybody who reads its queue
 * file sees it changed. And a real milter: opendkim signs, and finds its signatures good afterwards.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { atEnd } from '../support/cleanup.ts';
import { eventually } from '../support/condition.ts';
import { freshDirectory } from '../support/directories.ts';
import { BUILD, startMailSystem } from '../support/mail-system.ts';
import { edit, startMilterPeer } from '../support/milter-peer.ts';
import { freePort } from '../support/ports.ts';
import { commandOf, whyNoPostfix } from '../support/real-postfix.ts';
import { converse, sendBySmtp } from '../support/smtp-client.ts';
import { startSmtpPeer } from '../support/smtp-peer.ts';
import { MAKERS, NAMES, runTool } from './makers.ts';

const LONG = 'a line of the new body, and of the heap behind the end of the file\r\n'.repeat(2000);

/** All kinds of changes, more than the old body has room for; the message is held. */
const CHANGES = [
  edit.quarantine('to look at it'),
  edit.changeSender('<zoe@lab.test>'),
  edit.deleteRecipient('<bob@far.test>'),
  edit.addRecipient('<eve@far.test>'),
  edit.addRecipient('<fay@far.test>'),
  edit.addHeader('X-Added', 'at the end,\n\ttwo lines'),
  edit.insertHeader(0, 'X-First', 'before all'),
  edit.changeHeader(1, 'Subject', 'changed'),
  edit.changeHeader(1, 'X-Gone', ''),
  edit.replaceBody(LONG),
  edit.replaceBody('the end\r\n'),
  'c',
];

const MESSAGE = [
  'From: ann@lab.test',
  'Subject: x',
  'X-Gone: now',
  'Message-Id: <1@lab.test>',
  'Date: Thu, 1 Jan 2026 00:00:00 +0000',
  '',
  'old body',
  '.',
].join('\r\n');

for (const reader of MAKERS) {
  const skip = reader === 'real' && whyNoPostfix();
  test(`${NAMES[reader]} reads and delivers what our cleanup has changed`, { skip }, async (t) => {
    const milter = await startMilterPeer(t, { on: { E: CHANGES } });
    const peer = await startSmtpPeer(t);
    const program = (name: string) => commandOf('ours', reader, name);
    const mail = await startMailSystem(t, {
      main: {
        smtpd_milters: `inet:127.0.0.1:${milter.port}`,
        relayhost: `[127.0.0.1]:${peer.port}`,
      },
      master: [
        `qmgr unix n - n 300 1 ${program('qmgr')}`,
        `smtp unix - - n - - ${program('smtp')}`,
        `pickup unix n - n 60 1 ${program('pickup')}`,
        `showq unix n - n - - ${program('showq')}`,
      ],
    });
    const replies = await converse(mail.port, [
      'EHLO client.test',
      'MAIL FROM:<ann@lab.test>',
      'RCPT TO:<bob@far.test>',
      'RCPT TO:<carl@far.test>',
      'DATA',
      MESSAGE,
      'QUIT',
    ]);
    assert.match(replies.at(-2) ?? '', /^250 /);
    const [queueId = ''] = mail.ids('hold');
    if (whyNoPostfix() === false) {
      const [ours, theirs] = MAKERS.map((maker) =>
        runTool(maker, mail, 'postcat', ['-q', queueId]),
      );
      assert.equal(ours?.status, 0);
      assert.equal(ours?.stdout, theirs?.stdout);
    }
    // Once as it is, and once taken in anew.
    assert.equal(runTool(reader, mail, 'postsuper', ['-H', queueId]).status, 0);
    assert.equal(mail.run('postqueue', ['-f']).status, 0);
    const [first] = await peer.waitForMessages(1);
    const again = await converse(mail.port, [
      'EHLO client.test',
      'MAIL FROM:<ann@lab.test>',
      'RCPT TO:<bob@far.test>',
      'DATA',
      MESSAGE,
      'QUIT',
    ]);
    assert.match(again.at(-2) ?? '', /^250 /);
    const [held = ''] = mail.ids('hold');
    assert.equal(runTool(reader, mail, 'postsuper', ['-r', held]).status, 0);
    assert.equal(mail.run('postkick', ['public', 'pickup', 'W']).status, 0);
    const [, second] = await peer.waitForMessages(2);
    assert.equal(first?.sender, 'zoe@lab.test');
    assert.deepEqual(first?.recipients, ['carl@far.test', 'eve@far.test', 'fay@far.test']);
    assert.deepEqual(second?.recipients, ['eve@far.test', 'fay@far.test']);
    const [, header = '', body = ''] = /^(.*?)\r\n\r\n(.*)$/s.exec(first?.content ?? '') ?? [];
    assert.equal(body, `${LONG}the end\r\n`);
    assert.match(header, /^X-First: before all\r\nReceived: /);
    assert.match(header, /\r\nFrom: ann@lab\.test\r\nSubject: changed\r\n/);
    assert.match(header, /\r\nX-Added: at the end,\r\n\ttwo lines$/);
    assert.doesNotMatch(header, /X-Gone/);
    const without = (text = '') => text.replace(/^(?:Received: .*\r\n(?:[ \t].*\r\n)*)+/gm, '');
    assert.equal(without(second?.content), without(first?.content));
    await mail.waitUntilEmpty();
  });
}

test('a milter that hangs costs its message a time limit, and nobody else anything', async (t) => {
  const hanging = await startMilterPeer(t, {
    on: { L: (data) => (data.includes('hang') ? 'silent' : ['c']) },
  });
  const impatient = await freePort();
  const milter = (seconds: number) =>
    `{ inet:127.0.0.1:${hanging.port}, content_timeout=${seconds} }`;
  const mail = await startMailSystem(t, {
    main: {
      smtpd_milters: milter(3600),
      milter_default_action: 'accept',
      local_transport: 'discard:',
      local_recipient_maps: '',
    },
    master: [`127.0.0.1:${impatient} inet n - n - - smtpd -o { smtpd_milters = ${milter(1)} }`],
  });
  const send = (subject: string, port = mail.port) =>
    sendBySmtp(port, { from: 'ann@lab.test', to: ['bob@lab.test'], subject });
  const headersSeen = () => hanging.sessions.flat().filter((packet) => packet.includes('hang'));
  // These end with the mail system.
  for (let count = 0; count < 3; count += 1) send('hang').catch(() => {});
  await eventually('three that hang', () => headersSeen().length === 3);
  for (let count = 0; count < 5; count += 1) assert.match(await send('usual'), /^250 /);
  assert.match(await send('hang', impatient), /^250 /);
  await mail.waitForLog(/can't read SMFIC_HEADER reply packet header: Connection timed out/);
});

test('milters of mail from sendmail, and the body of a large message in pieces', async (t) => {
  const milter = await startMilterPeer(t, { on: { E: [edit.addHeader('X-Seen', 'yes'), 'c'] } });
  const peer = await startSmtpPeer(t);
  const mail = await startMailSystem(t, {
    main: {
      non_smtpd_milters: `inet:127.0.0.1:${milter.port}`,
      relayhost: `[127.0.0.1]:${peer.port}`,
    },
  });
  const body = '0123456789abcdef\n'.repeat(150_000);
  // The milter is in this process: it can't answer while we wait for a command.
  const sendmail = spawn(
    join(BUILD, 'bin/sendmail'),
    ['-C', mail.config, '-f', 'ann@lab.test', 'bob@far.test'],
    { stdio: ['pipe', 'ignore', 'inherit'] },
  );
  sendmail.stdin.end(`Subject: x\n\n${body}`);
  assert.deepEqual(await once(sendmail, 'exit'), [0, null]);
  const [message] = await peer.waitForMessages(1);
  assert.match(message?.content ?? '', /\r\nX-Seen: yes\r\n\r\n0123/);
  const [session = []] = await milter.takeSessions();
  const pieces = session.filter((packet) => packet.startsWith('B '));
  const sizes = pieces.map((packet) => Number(/^B (\d+) bytes/.exec(packet)?.[1] ?? 0));
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    body.length + 150_000,
  );
  assert.ok(sizes.every((size) => size <= 65_535));
  assert.match(session.find((packet) => packet.startsWith('M ')) ?? '', /^M ann@lab\.test\|/);
});

const OPENDKIM = '/usr/sbin/opendkim';
const noOpendkim =
  existsSync(OPENDKIM) && existsSync('/usr/sbin/opendkim-genkey') ? false : 'no opendkim here';

/** Starts an opendkim of our own. @returns its port */
async function startOpendkim(
  t: TestContext,
  directory: string,
  mode: 's' | 'v',
  settings: readonly string[],
): Promise<number> {
  const port = await freePort();
  const file = join(directory, `opendkim-${mode}.conf`);
  const lines = [`Socket inet:${port}@127.0.0.1`, `Mode ${mode}`, 'Syslog no', ...settings];
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  const child = spawn(OPENDKIM, ['-f', '-x', file], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  atEnd(t, async () => {
    child.kill('SIGTERM');
    await ended;
  });
  await eventually('opendkim listens', () => isListening(port));
  return port;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.end());
    socket.once('error', () => resolve(false));
    socket.once('close', (failed) => resolve(!failed));
  });
}

test('opendkim signs, and its signatures are good', { skip: noOpendkim }, async (t) => {
  const directory = freshDirectory(t);
  const made = spawnSync('opendkim-genkey', [
    '-b',
    '1024',
    '-D',
    directory,
    '-d',
    'lab.test',
    '-s',
    'k',
  ]);
  assert.equal(made.status, 0, String(made.stderr));
  const record = readFileSync(join(directory, 'k.txt'), 'latin1').match(/"[^"]*"/g) ?? [];
  const key = record.map((text) => text.slice(1, -1)).join('');
  writeFileSync(join(directory, 'dns'), `k._domainkey.lab.test ${key}\n`);
  const signer = await startOpendkim(t, directory, 's', [
    'Domain lab.test',
    'Selector k',
    `KeyFile ${directory}/k.private`,
    'RequireSafeKeys no',
    'Canonicalization relaxed/simple',
  ]);
  const verifier = await startOpendkim(t, directory, 'v', [
    `TestDNSData ${directory}/dns`,
    'AuthservID mx.lab.test',
    'AlwaysAddARHeader yes',
    'InternalHosts 192.0.2.1',
  ]);
  const peer = await startSmtpPeer(t);
  const second = await freePort();
  const mail = await startMailSystem(t, {
    main: {
      relayhost: `[127.0.0.1]:${peer.port}`,
      smtpd_milters: `inet:127.0.0.1:${signer}`,
      non_smtpd_milters: '$smtpd_milters',
      smtpd_peername_lookup: 'no',
    },
    master: [
      `127.0.0.1:${second} inet n - n - - smtpd -o smtpd_milters=inet:127.0.0.1:${verifier}`,
    ],
  });
  await mail.send({
    from: 'ann@lab.test',
    to: ['bob@far.test'],
    body: 'by SMTP\r\n\r\n..dots  \r\n',
  });
  const text = 'From: ann@lab.test\nTo: bob@far.test\nSubject: local\n\nby sendmail\n';
  assert.equal(mail.run('sendmail', ['-t', '-f', 'ann@lab.test'], text).status, 0);
  const signed = [...(await peer.waitForMessages(2))];
  for (const { content } of signed) {
    assert.match(content, /^DKIM-Signature: v=1; a=rsa-sha256; c=relaxed\/simple; d=lab\.test;/m);
  }
  // A stranger brings them back; one is as it was, the other was touched on the way.
  for (const { content: sent } of signed) {
    const content = sent.replace('by sendmail', 'by somebody');
    const stuffed = content.replace(/^\./gm, '..');
    const replies = await converse(second, [
      'EHLO stranger.test',
      'MAIL FROM:<ann@lab.test>',
      'RCPT TO:<carl@far.test>',
      'DATA',
      `${stuffed}.`,
      'QUIT',
    ]);
    assert.match(replies.at(-2) ?? '', /^250 /);
  }
  const checked = (await peer.waitForMessages(4)).slice(2).map(({ content }) => content);
  const passed = checked.find((content) => content.includes('by SMTP'));
  const failed = checked.find((content) => content.includes('by somebody'));
  assert.match(passed ?? '', /^Authentication-Results: mx\.lab\.test;\s+dkim=pass/m);
  assert.match(failed ?? '', /^Authentication-Results: mx\.lab\.test;\s+dkim=fail/m);
});
