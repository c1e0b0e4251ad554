import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { connect, createServer, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { formatAttributes } from '../../../lib/ipc/attributes.ts';
import { descriptorOf } from '../../../lib/os/descriptors.ts';
import { lookupUser } from '../../../lib/os/identity.ts';
import { sendDescriptor } from '../../../lib/os/sockets.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { freePort } from '../../support/ports.ts';
import { type RunningDaemon, scriptedMaster } from '../../support/scripted-master.ts';

const PROGRAM = 'test/support/daemons/echo.cjs';
const SOCKET = 'private/echo';

/** A client that reads lines. */
class Client {
  readonly socket: Socket;
  readonly lines: string[] = [];
  closed = false;

  constructor(where: string | number) {
    this.socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    createInterface({ input: this.socket }).on('line', (line) => this.lines.push(line));
  }

  say(line: string): void {
    this.socket.write(`${line}\n`);
  }

  hears(line: string): Promise<unknown> {
    return eventually(`"${line}"`, () => this.lines.includes(line));
  }
}

/** The reports come on a way of their own. */
async function hasReported({ reports }: RunningDaemon, expected: readonly number[]): Promise<void> {
  await eventually(`${expected.length} reports`, () => reports.length >= expected.length);
  assert.deepEqual(reports, expected);
}

test('one client at a time, under Postfix: taken, then available', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET, args: ['-n', 'other'] });
  const first = new Client(master.path(SOCKET));
  await first.hears('mail.example.com other');
  await hasReported(daemon, [0]);
  const second = new Client(master.path(SOCKET));
  first.say('hello');
  await first.hears('HELLO');
  assert.deepEqual(second.lines, [], 'the second waits in the queue of the kernel');
  first.say('quit');
  await first.hears('bye');
  await second.hears('mail.example.com other');
  second.say('quit');
  await eventually('both to be over', () => first.closed && second.closed);
  await hasReported(daemon, [0, 1, 0, 1]);
});

test('with slots it says how many it serves, and when it is full', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET, slots: 2 });
  await hasReported(daemon, [2]);
  const clients = [1, 2, 3].map(() => new Client(master.path(SOCKET)));
  const served = () => clients.filter(({ lines }) => lines.length > 0);
  await eventually('two to be served', () => served().length === 2);
  await hasReported(daemon, [2, 0]);
  served()[0]?.say('quit');
  await eventually('the third to be served', () => served().length === 3);
  for (const client of clients) client.say('quit');
  await eventually('all to be over', () => clients.every(({ closed }) => closed));
  await hasReported(daemon, [2, 0, 1, 0, 1, 2]);
});

test('many clients at once, on two sockets: nobody is dropped', async (t) => {
  const master = scriptedMaster(t, { max_use: '1000' });
  const listen = [SOCKET, 'private/echo2'];
  master.start({ program: PROGRAM, listen });
  const clients = Array.from(
    { length: 30 },
    (_, at) => new Client(master.path(listen[at % 2] ?? '')),
  );
  for (const client of clients) client.say('quit');
  await eventually('everybody to be served', () =>
    clients.every(({ lines }) => lines.includes('bye')),
  );
});

test('an idle daemon leaves with status 0 after max_idle', async (t) => {
  const master = scriptedMaster(t, { max_idle: '1s' });
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
});

test('it leaves after twenty times max_use clients for each slot, with the last one served', async (t) => {
  const master = scriptedMaster(t, { max_use: '1' });
  const daemon = master.start({ program: PROGRAM, listen: SOCKET, slots: 2 });
  for (let count = 0; count < 40; count += 1) {
    const client = new Client(master.path(SOCKET));
    client.say('quit');
    await client.hears('bye');
  }
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
});

test('it goes on after its last client while it serves somebody', async (t) => {
  const master = scriptedMaster(t, { max_use: '1' });
  const daemon = master.start({ program: PROGRAM, listen: SOCKET, slots: 2 });
  const stays = new Client(master.path(SOCKET));
  await stays.hears('mail.example.com echo');
  for (let count = 0; count < 45; count += 1) {
    const client = new Client(master.path(SOCKET));
    client.say('quit');
    await client.hears('bye');
  }
  stays.say('quit');
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
});

test('when master goes, an idle daemon leaves at once', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  const client = new Client(master.path(SOCKET));
  client.say('quit');
  await client.hears('bye');
  daemon.disconnect();
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
});

test('when master goes, a client is served to the end, and nobody after it', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET, slots: 3 });
  const client = new Client(master.path(SOCKET));
  await client.hears('mail.example.com echo');
  daemon.disconnect();
  client.say('still here?');
  await client.hears('STILL HERE?');
  client.say('quit');
  await client.hears('bye');
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
});

test('SIGTERM ends it at once', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  await new Client(master.path(SOCKET)).hears('mail.example.com echo');
  daemon.kill('SIGTERM');
  assert.deepEqual(await daemon.ended, { code: null, signal: 'SIGTERM' });
});

test('a client that makes the service throw costs only itself', async (t) => {
  const master = scriptedMaster(t);
  master.start({ program: PROGRAM, listen: SOCKET, slots: 2 });
  const other = new Client(master.path(SOCKET));
  const client = new Client(master.path(SOCKET));
  client.say('crash');
  await eventually('the client to be closed', () => client.closed);
  await master.waitForLog(/error: TypeError: crashed on purpose \| at .*echo/);
  other.say('alive');
  await other.hears('ALIVE');
});

test('a rejection that nobody handles ends the process, with its stack in the log', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  new Client(master.path(SOCKET)).say('die');
  assert.deepEqual(await daemon.ended, { code: 1, signal: null });
  await master.waitForLog(/panic: TypeError: died on purpose \| at /);
});

test('a client that has said everything and closed its half is still answered', async (t) => {
  const master = scriptedMaster(t);
  const port = await freePort();
  master.start({ program: PROGRAM, listen: port, type: 'inet' });
  const client = new Client(port);
  client.socket.end('hello\n');
  await client.hears('HELLO');
  await client.hears('bye');
});

test('tokens of the flow-control pipe are taken one by one', async (t) => {
  const master = scriptedMaster(t);
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  daemon.putTokens(1);
  const client = new Client(master.path(SOCKET));
  for (const _ of [1, 2]) client.say('token');
  await eventually('both answers', () => client.lines.length === 3);
  assert.deepEqual(client.lines.slice(1), ['true', 'false']);
});

test('an event loop that does not turn any more ends the process', async (t) => {
  const master = scriptedMaster(t, { daemon_timeout: '1s' });
  const daemon = master.start({ program: PROGRAM, listen: SOCKET });
  new Client(master.path(SOCKET)).say('spin');
  assert.deepEqual(await daemon.ended, { code: null, signal: 'SIGALRM' });
});

const root = process.getuid?.() === 0;
const owner = lookupUser('nobody');
const needsRoot = { skip: !root && 'only root can become somebody else' };

test('with -u and -c it becomes mail_owner, inside the queue directory', needsRoot, async (t) => {
  const master = scriptedMaster(t, { mail_owner: 'nobody' });
  master.start({ program: PROGRAM, listen: SOCKET, args: ['-u', '-c'] });
  const client = new Client(master.path(SOCKET));
  for (const word of ['identity', 'directory']) client.say(word);
  await eventually('both answers', () => client.lines.length === 3);
  const { uid, gid } = owner ?? {};
  assert.deepEqual(client.lines.slice(1), [`${uid} ${gid} ${gid}`, '/']);
  client.say('crash');
  await master.waitForLog(/error: TypeError: crashed on purpose/);
});

test('without -u it stays who it is', async (t) => {
  const master = scriptedMaster(t, { mail_owner: 'nobody' });
  master.start({ program: PROGRAM, listen: SOCKET });
  const client = new Client(master.path(SOCKET));
  client.say('identity');
  await eventually('the answer', () => client.lines.length === 2);
  assert.match(client.lines[1] ?? '', new RegExp(`^${process.getuid?.()} ${process.getgid?.()} `));
});

test('a passed connection is served with what its sender knows', async (t) => {
  const master = scriptedMaster(t);
  master.start({ program: PROGRAM, listen: SOCKET, type: 'pass' });
  const port = await freePort();
  const front = createServer({ pauseOnConnect: true }, (accepted) => {
    const local = connect(master.path(SOCKET), () => {
      sendDescriptor(descriptorOf(local), descriptorOf(accepted));
      local.end(
        formatAttributes([
          ['client_address', '192.0.2.1'],
          ['client_port', '60610'],
          ['server_address', '127.0.0.1'],
          ['server_port', '25'],
        ]),
      );
    });
    local.on('error', () => {});
  });
  await new Promise<void>((listening) => front.listen(port, '127.0.0.1', listening));
  atEnd(t, () => front.close());
  const client = new Client(port);
  await client.hears('mail.example.com echo 192.0.2.1:60610');
  client.say('through');
  await client.hears('THROUGH');
  client.say('quit');
  await client.hears('bye');
  client.socket.destroy();
});

const REFUSED: [string, string[], Record<string, string>, RegExp][] = [
  ['no transport type', ['-t', ''], {}, /fatal: no transport type specified/],
  ['an unknown option', ['-y'], {}, /fatal: invalid option: y/],
  ['a bad generation', [], { GENERATION: '8' }, /fatal: bad generation: 8/],
  ['bad slots', [], { POSTHASTE_SLOTS: '0' }, /fatal: bad POSTHASTE_SLOTS/],
  ['a bad number', ['-m', 'x'], {}, /fatal: option -m: bad number: x/],
];
for (const [why, args, environment, expected] of REFUSED) {
  test(`it ends with status 1 for ${why}`, async (t) => {
    const master = scriptedMaster(t);
    const setting = { program: PROGRAM, listen: SOCKET, args, environment };
    const { code } = await master.start(setting).ended;
    assert.equal(code, 1);
    await master.waitForLog(expected);
  });
}

test('stand-alone, stdin and stdout are the client', async (t) => {
  const master = scriptedMaster(t);
  const child: ChildProcess = spawn(process.execPath, [resolve('build', PROGRAM), '-S'], {
    env: { MAIL_CONFIG: master.directory },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  atEnd(t, () => child.kill('SIGKILL'));
  let said = '';
  child.stdout?.on('data', (bytes) => {
    said += bytes;
  });
  child.stdin?.end('hello\n');
  const code = await new Promise((done) => child.once('close', done));
  assert.equal(code, 0);
  assert.equal(said, 'mail.example.com echo\nHELLO\nbye\n');
});
