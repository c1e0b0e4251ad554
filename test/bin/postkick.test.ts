import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { atEnd } from '../support/cleanup.ts';
import { freshDirectory } from '../support/directories.ts';
import { BUILD } from '../support/mail-system.ts';
import { writeSettled } from '../support/settled-file.ts';

async function kick(directory: string, args: readonly string[]) {
  const child = spawn(join(BUILD, 'bin/postkick'), args, {
    env: { ...process.env, MAIL_CONFIG: directory },
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const [status] = await once(child, 'close');
  return { status, stderr };
}

function configure(t: TestContext): string {
  const directory = freshDirectory(t);
  writeSettled(join(directory, 'main.cf'), `queue_directory = ${directory}\n`);
  mkdirSync(join(directory, 'public'));
  return directory;
}

test('postkick writes the request and a NUL', async (t) => {
  const directory = configure(t);
  const server = createServer().listen(join(directory, 'public/qmgr'));
  atEnd(t, () => server.close());
  const received = new Promise<string>((resolve) => {
    server.once('connection', (socket: Socket) => {
      socket.once('data', (bytes) => resolve(bytes.toString('latin1')));
      socket.resume().on('error', () => {});
    });
  });
  assert.deepEqual(await kick(directory, ['public', 'qmgr', 'ID']), { status: 0, stderr: '' });
  assert.equal(await received, 'ID\0');
});

test('postkick says when nobody is there', async (t) => {
  assert.deepEqual(await kick(configure(t), ['public', 'nosuch', 'W']), {
    status: 1,
    stderr:
      'postkick: warning: unable to look up public/nosuch: No such file or directory\n' +
      'postkick: warning: Cannot contact class public service nosuch - perhaps the mail system is down\n',
  });
});

for (const args of [[], ['public', 'qmgr'], ['public', 'qmgr', 'W', 'x']]) {
  test(`postkick with ${args.length} arguments tells how it is used`, async (t) => {
    assert.deepEqual(await kick(configure(t), args), {
      status: 1,
      stderr: 'postkick: fatal: usage: postkick [-c config_dir] [-v] class service request\n',
    });
  });
}
