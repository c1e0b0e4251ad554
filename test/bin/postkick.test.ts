import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { atEnd } from '../support/cleanup.ts';
import { freshDirectory } from '../support/directories.ts';
import { BUILD } from '../support/mail-system.ts';
import { type Maker, whyNoPostfix } from '../support/real-postfix.ts';
import { writeSettled } from '../support/settled-file.ts';
import { MAKERS, NAMES } from '../system/makers.ts';

async function kick(directory: string, args: readonly string[], maker: Maker = 'ours') {
  const program = maker === 'ours' ? join(BUILD, 'bin/postkick') : '/usr/sbin/postkick';
  const child = spawn(program, args, {
    env: { ...process.env, MAIL_CONFIG: directory },
    // Real commands call themselves as they were called.
    argv0: 'postkick',
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

for (const maker of MAKERS) {
  const skip = maker === 'real' && whyNoPostfix();
  test(`${NAMES[maker]}'s postkick waits for a full fifo for trigger_timeout`, {
    skip,
  }, async (t) => {
    const directories = ['1s', '1h'].map((limit) => {
      const directory = configure(t);
      const file = join(directory, 'main.cf');
      writeSettled(file, `queue_directory = ${directory}\ntrigger_timeout = ${limit}\n`);
      return directory;
    }) as [string, string];
    const [short, long] = directories.map((directory) => fillFifo(t, directory)) as [Fifo, Fifo];
    const args = ['public', 'full', 'W'];
    let waits = true;
    const waiting = kick(directories[1], args, maker).finally(() => {
      waits = false;
    });
    assert.deepEqual(await kick(directories[0], args, maker), { status: 0, stderr: '' });
    assert.ok(waits, 'the one with an hour waits');
    assert.doesNotMatch(short.drain(), /W/);
    // It may write as soon as there is room: while we take the rest.
    const taken = long.drain();
    assert.deepEqual(await waiting, { status: 0, stderr: '' });
    assert.match(taken + long.drain(), /W/);
  });
}

interface Fifo {
  /** Takes all that is in it. */
  drain(): string;
}

/** A fifo that has a reader, and no room. */
function fillFifo(t: TestContext, directory: string): Fifo {
  const path = join(directory, 'public/full');
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  atEnd(t, () => closeSync(fd));
  const untilFull = (step: () => number) => {
    try {
      while (step() > 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  };
  untilFull(() => writeSync(fd, Buffer.alloc(4096, 'x')));
  return {
    drain() {
      const bytes = Buffer.alloc(4096);
      let text = '';
      untilFull(() => {
        const length = readSync(fd, bytes);
        text += bytes.toString('latin1', 0, length);
        return length;
      });
      return text;
    },
  };
}

for (const args of [[], ['public', 'qmgr'], ['public', 'qmgr', 'W', 'x']]) {
  test(`postkick with ${args.length} arguments tells how it is used`, async (t) => {
    assert.deepEqual(await kick(configure(t), args), {
      status: 1,
      stderr: 'postkick: fatal: usage: postkick [-c config_dir] [-v] class service request\n',
    });
  });
}
