import assert from 'node:assert/strict';
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sendDatagram } from '../../../lib/os/sockets.ts';
import { eventually } from '../../support/condition.ts';
import { scriptedMaster } from '../../support/scripted-master.ts';

const LINE =
  'Nov 21 22:48:34 ipc postfix-ipc/smtpd[22930]: 9E3B3220164: client=localhost[127.0.0.1]';

const POSTLOGD = {
  program: 'libexec/postlogd.cjs',
  listen: 'public/postlog',
  type: 'unix-dgram',
  args: ['-n', 'postlog', '-l'],
} as const;

test('postlogd writes each datagram as a line', async (t) => {
  const master = scriptedMaster(t);
  master.start(POSTLOGD);
  const send = (text: string) => sendDatagram(master.path('public/postlog'), Buffer.from(text));
  assert.ok(send(LINE));
  assert.ok(send('forged\nNov 21 22:48:34 x postfix/y[1]: z\x1b[31m'));
  assert.ok(send('x'.repeat(10_000)));
  await master.waitForLog(/xxxx\n/);
  const lines = master.log().split('\n');
  assert.equal(lines[0], LINE);
  assert.equal(lines[1], 'forged?Nov 21 22:48:34 x postfix/y[1]: z?[31m');
  assert.equal(lines[2]?.length, 4096);
  assert.equal(lines.length, 4);
});

test('postlogd goes on in the new file after a rotation', async (t) => {
  const master = scriptedMaster(t);
  master.start(POSTLOGD);
  const file = join(master.directory, 'log');
  sendDatagram(master.path('public/postlog'), Buffer.from('before'));
  await master.waitForLog(/before\n/);
  renameSync(file, `${file}.1`);
  // It looks once a second.
  await eventually('a line in the new file', () => {
    sendDatagram(master.path('public/postlog'), Buffer.from('after'));
    try {
      return readFileSync(file, 'utf8').startsWith('after\n');
    } catch {
      return false;
    }
  });
});

test('without maillog_file there is nothing to do', async (t) => {
  const master = scriptedMaster(t, { maillog_file: '' });
  const daemon = master.start(POSTLOGD);
  assert.equal((await daemon.ended).code, 1);
});
