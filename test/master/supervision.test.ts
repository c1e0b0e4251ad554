/** master at work: real processes, with daemons of a few lines. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AT_FULL_LOAD } from '../../lib/server/status-channel.ts';
import { atEnd } from '../support/cleanup.ts';
import { eventually } from '../support/condition.ts';
import { freshDirectory } from '../support/directories.ts';
import { BUILD, type MailSystem, startMailSystem } from '../support/mail-system.ts';
import { writeScriptedDaemon } from '../support/scripted-daemon.ts';

interface Bench {
  readonly mail: MailSystem;
  /** What the scripted daemons have noted, a line each. */
  notes(): string[];
  /** Sends text to a socket below the queue directory; gives what comes back until the end. */
  ask(path: string, text?: string): Promise<string>;
  daemon(name: string, behaviour: string): void;
}

/** A mail system that consists of nothing but master and the daemons of the test. */
async function startBench(
  t: TestContext,
  daemons: Readonly<Record<string, string>>,
  master: readonly string[],
  main: Readonly<Record<string, string>> = {},
): Promise<Bench> {
  const directory = freshDirectory(t, 'daemons');
  const journal = join(directory, 'journal');
  writeFileSync(journal, '');
  chmodSync(journal, 0o666);
  symlinkSync(join(BUILD, 'libexec', 'master'), join(directory, 'master'));
  const daemon = (name: string, behaviour: string) =>
    writeScriptedDaemon(directory, name, journal, behaviour);
  for (const [name, behaviour] of Object.entries(daemons)) daemon(name, behaviour);
  const mail = await startMailSystem(t, {
    main: { daemon_directory: directory, ...main },
    only: master,
  });
  return {
    mail,
    daemon,
    notes: () => readFileSync(journal, 'utf8').split('\n').slice(0, -1),
    ask: (path, text = '') => ask(join(mail.queue, path), text),
  };
}

async function ask(path: string, text: string): Promise<string> {
  const socket = connect(path);
  let answer = '';
  socket.on('data', (bytes) => {
    answer += bytes.toString();
  });
  socket.on('error', () => {});
  socket.end(text);
  await closed(socket);
  return answer;
}

/** The end of a connection, however it came about. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

/** Serves one client at a time and says so, as Postfix's daemons do. */
const POLITE = `listen((socket) => {
  report(0);
  socket.end('pid ' + process.pid);
  socket.on('close', () => report(1));
});`;

test('a daemon is started for its first client, and told what Postfix tells it', async (t) => {
  const tell = `listen((socket) => { report(0); socket.end(JSON.stringify(facts)); socket.on('close', () => report(1)); });`;
  const {
    ask: send,
    notes,
    mail,
  } = await startBench(t, { teller: `note('started');${tell}` }, [
    'teller unix n - n - 7 teller -o { a = b c } -o d=e',
  ]);
  assert.deepEqual(notes(), []);
  const facts = JSON.parse(await send('public/teller'));
  const unpriv = ['-t', 'unix', '-u', '-o', 'a = b c', '-o', 'd=e'];
  assert.deepEqual(facts.argv, unpriv);
  assert.equal(facts.cwd, mail.queue);
  assert.equal(facts.env.GENERATION, '1');
  assert.equal(facts.env.MAIL_CONFIG, mail.config);
  assert.equal(facts.env.PATH, undefined);
  assert.equal(facts.env.HOME, undefined);
  await send('public/teller');
  assert.deepEqual(notes(), ['started']);
});

test('the pid file is written as scripts expect it, and a second start is refused', async (t) => {
  const { mail } = await startBench(t, { polite: POLITE }, ['polite unix n - n - - polite']);
  const pidFile = readFileSync(join(mail.queue, 'pid/master.pid'), 'latin1');
  assert.match(pidFile, /^ *\d+\n$/);
  assert.equal(pidFile.length, 33);
  const second = mail.run('postfix', ['start']);
  assert.equal(second.status, 1);
  assert.match(second.stderr, /fatal: the Postfix mail system is already running/);
  assert.equal(mail.run('postfix', ['status']).status, 0);
});

test('sockets in private are for daemons, those in public as open as their users need', async (t) => {
  const { mail } = await startBench(t, { polite: POLITE }, [
    'inner unix - - n - - polite',
    'showq unix n - n - - polite',
    'qmgr unix n - n - 1 polite',
  ]);
  const mode = (path: string) => statSync(join(mail.queue, path)).mode & 0o777;
  assert.deepEqual(
    ['private', 'private/inner', 'public', 'public/showq', 'public/qmgr'].map(mode),
    [0o700, 0o666, 0o711, 0o666, 0o660],
  );
});

test('clients get processes of their own, up to maxproc at a time', async (t) => {
  // Closing the server in its first callback leaves the other clients to other processes.
  const hold = `const server = listen((socket) => {
  server.close();
  report(0);
  note('taken');
  socket.on('data', () => socket.end('pid ' + process.pid));
  socket.on('close', () => process.exit(0));
});`;
  const { mail, notes } = await startBench(t, { hold }, ['hold unix n - n - 2 hold']);
  const clients = [1, 2, 3].map(() => connect(join(mail.queue, 'public/hold')));
  await eventually('two processes', () => notes().length >= 2);
  const answers = clients.map(async (client) => {
    let text = '';
    client.on('data', (bytes) => {
      text += bytes.toString();
    });
    await closed(client);
    return text;
  });
  assert.equal(notes().length, 2, 'the third client waits');
  for (const client of clients) client.write('go');
  assert.equal(new Set(await Promise.all(answers)).size, 3);
});

test('a process that says it can serve many is given all clients', async (t) => {
  const many = `note('slots ' + process.env.POSTHASTE_SLOTS); report(Number(process.env.POSTHASTE_SLOTS));
listen((socket) => socket.on('data', () => socket.end('pid ' + process.pid)));`;
  const { ask: send, notes } = await startBench(t, { many }, ['many unix n - n - 10 many'], {
    service_processes: '2',
  });
  const pids = await Promise.all([1, 2, 3, 4, 5].map(() => send('public/many', 'go')));
  assert.equal(new Set(pids).size, 1);
  assert.deepEqual(notes(), ['slots 5']);
});

test('a process with more to do than it can gets help, as much as there may be', async (t) => {
  const laden = `note('started'); report(Number(process.env.POSTHASTE_SLOTS));
listen((socket) => { report(${AT_FULL_LOAD}); socket.end('pid ' + process.pid); });`;
  const {
    ask: send,
    notes,
    mail,
  } = await startBench(t, { laden }, ['laden unix n - n 0 9 laden'], { service_processes: '3' });
  await send('public/laden');
  await eventually('another process', () => notes().length === 2);
  await eventually('a third', async () => (await send('public/laden')) && notes().length === 3);
  for (let client = 0; client < 10; client += 1) await send('public/laden');
  assert.equal(mail.run('postfix', ['stop']).status, 0);
  assert.equal(notes().length, 3);
});

test('a daemon that dies before it did anything is not started over and over', async (t) => {
  const { mail, notes } = await startBench(
    t,
    { broken: `note('started'); process.exit(1);` },
    ['broken unix n - n - - broken'],
    { service_throttle_time: '60s' },
  );
  const client = connect(join(mail.queue, 'public/broken'));
  client.on('error', () => {});
  atEnd(t, () => client.destroy());
  await mail.waitForLog(/warning: process .*\/broken pid \d+ exit status 1/);
  await mail.waitForLog(/broken: bad command startup -- throttling/);
  await eventually('a few starts', () => notes().length >= 4);
  // The pause doubles: 50, 100, 200, 400 ms ... Twenty starts would take half a day.
  assert.ok(notes().length < 10);
});

test('a daemon that was killed at work is replaced at once', async (t) => {
  const { ask: send, mail } = await startBench(t, { polite: POLITE }, [
    'polite unix n - n - - polite',
  ]);
  const first = await send('public/polite');
  process.kill(Number(first.slice(4)), 'SIGKILL');
  await mail.waitForLog(/polite pid \d+ killed by signal 9/);
  const second = await send('public/polite');
  assert.match(second, /^pid \d+$/);
  assert.notEqual(second, first);
});

test('a daemon that is not there is said once, and its clients are refused', async (t) => {
  const { ask: send, mail } = await startBench(t, { polite: POLITE }, [
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'polite unix n - n - - polite',
  ]);
  await send('private/tlsmgr');
  const line = await mail.waitForLog(/service "tlsmgr"/);
  assert.match(line, /there is no .*\/tlsmgr.*master\.cf, line 1/);
  await send('private/tlsmgr');
  await send('private/tlsmgr');
  assert.equal(mail.log().split('service "tlsmgr"').length, 2);
  assert.match(await send('public/polite'), /^pid/);
});

test('wake-ups come at once, then again and again; with ? only after a client', async (t) => {
  const sleeper = `listen((socket) => { report(0); socket.on('data', (bytes) => { note(process.argv.includes('-n') ? 'if-used' : JSON.stringify(bytes.toString())); socket.end(); }); socket.on('close', () => report(1)); });`;
  const { ask: send, notes } = await startBench(t, { sleeper }, [
    'sleeper unix n - n 1 1 sleeper',
    'other unix n - n 1? 1 sleeper',
  ]);
  await eventually('two wake-ups', () => notes().filter((note) => note !== 'if-used').length >= 2);
  assert.ok(!notes().includes('if-used'));
  await send('public/other', 'x');
  await eventually('a wake-up', () => notes().filter((note) => note === 'if-used').length >= 2);
});

test('a daemon that is woken now and then is woken at once after an accident', async (t) => {
  const { mail, notes } = await startBench(
    t,
    {
      manager: `listen((socket) => { report(0); socket.on('data', () => { note(process.pid); socket.end(); report(1); }); });`,
    },
    ['manager unix n - n 300 1 manager'],
  );
  const [first] = await eventually('a wake-up', () => notes().length === 1 && notes());
  process.kill(Number(first), 'SIGKILL');
  const [, second] = await eventually('the next', () => notes().length === 2 && notes());
  assert.notEqual(first, second);
  await mail.waitForLog(/manager pid \d+ killed by signal 9/);
});

test('reload keeps sockets and busy processes, and follows master.cf', async (t) => {
  // One client, and then it leaves, also when its status channel has ended meanwhile.
  const patient = `process.exit = () => {};
const server = listen((socket) => {
  server.close();
  report(0);
  note('serves ' + process.argv.at(-1));
  socket.on('data', () => socket.end('pid ' + process.pid));
  socket.on('close', () => process.reallyExit(0));
});`;
  const {
    ask: send,
    mail,
    notes,
  } = await startBench(t, { hold: patient, polite: POLITE }, [
    'kept unix n - n - - hold one',
    'gone unix n - n - - polite',
  ]);
  const inode = statSync(join(mail.queue, 'public/kept')).ino;
  const client = connect(join(mail.queue, 'public/kept'));
  await eventually('a busy process', () => notes().length === 1);
  writeFileSync(
    join(mail.config, 'master.cf'),
    'kept unix n - n - - hold two\nnew unix n - n - - polite\npostlog unix-dgram n - n - 1 postlogd\n',
  );
  assert.equal(mail.run('postfix', ['reload']).status, 0);
  await mail.waitForLog(/reload -- version 3\.7\.11/);
  assert.match(await send('public/new'), /^pid/);
  await assert.rejects(once(connect(join(mail.queue, 'public/gone')), 'connect'), /ECONNREFUSED/);
  client.write('go');
  const [answer] = await once(client, 'data');
  assert.match(String(answer), /^pid/, 'the client of before the reload is served to its end');
  await send('public/kept', 'go');
  assert.deepEqual(notes(), ['serves one', 'serves two']);
  assert.equal(statSync(join(mail.queue, 'public/kept')).ino, inode);
});

test('reload with a broken master.cf changes nothing and says where it is broken', async (t) => {
  const { ask: send, mail } = await startBench(t, { polite: POLITE }, [
    'polite unix n - n - - polite',
  ]);
  writeFileSync(join(mail.config, 'master.cf'), 'polite unix x - n - - polite\n');
  process.kill(mail.masterPid(), 'SIGHUP');
  const line = await mail.waitForLog(/reload failed/);
  assert.match(line, /master\.cf: line 1: .*private.*"x"/);
  assert.match(await send('public/polite'), /^pid/);
});

test('stop ends every daemon; start after kill -9 of master recovers', async (t) => {
  const { ask: send, mail } = await startBench(t, { polite: POLITE }, [
    'polite unix n - n - - polite',
  ]);
  const daemon = Number((await send('public/polite')).slice(4));
  process.kill(mail.masterPid(), 'SIGKILL');
  await eventually('the orphan to leave', () => !isRunning(daemon));
  assert.equal(mail.run('postfix', ['status']).status, 1);
  mail.start();
  const next = Number((await send('public/polite')).slice(4));
  assert.equal(mail.run('postfix', ['stop']).status, 0);
  await eventually('the daemon to leave', () => !isRunning(next));
  assert.equal(mail.run('postfix', ['stop']).status, 1);
});

test("a daemon that no signal to master's group reaches leaves when its channel is closed", async (t) => {
  const apart = `process.on('SIGTERM', () => {}); process.on('exit', () => note('left')); ${POLITE}`;
  const bench = await startBench(t, { apart }, ['apart unix n - n - - apart']);
  const pid = Number((await bench.ask('public/apart')).slice(4));
  assert.equal(bench.mail.run('postfix', ['stop']).status, 0);
  await eventually('the daemon to leave', () => !isRunning(pid));
  assert.deepEqual(bench.notes(), ['left']);
});

/** A zombie that nobody has waited for is not running. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

for (const name of ['debian', 'rhel']) {
  test(`the master.cf that ${name} ships is accepted unchanged`, async (t) => {
    const shipped = readFileSync(join('test/data/master-cf', name), 'utf8');
    // Port 25 may be taken on this machine; nothing else is changed.
    const lines = shipped.replace(/^smtp(\s+)inet/m, '127.0.0.1:0$1inet').split('\n');
    const mail = await startMailSystem(t, { only: lines });
    assert.equal(mail.run('postfix', ['status']).status, 0);
    assert.doesNotMatch(mail.log(), /fatal|panic/);
  });
}

test('master refuses to run twice, by its lock', async (t) => {
  const { mail } = await startBench(t, { polite: POLITE }, ['polite unix n - n - - polite']);
  const { status, stderr } = spawnSync(join(BUILD, 'libexec/master'), ['-c', mail.config], {
    encoding: 'utf8',
  });
  assert.equal(status, 1, stderr);
  await mail.waitForLog(/unable to set exclusive lock: Resource temporarily unavailable/);
  assert.equal(spawnSync(join(BUILD, 'libexec/master'), ['-t', '-c', mail.config]).status, 1);
});
