/** What anvil answers and logs: Postfix's and ours, asked the same, byte by byte. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { monotonic } from '../../../lib/clock/clock.ts';
import { ClientTable, type Reporter } from '../../../services/anvil/client-table.ts';
import { Peaks } from '../../../services/anvil/peaks.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { type LogSocket, logSocket } from '../../support/log-socket.ts';
import { type Maker, REAL_DAEMONS, whyNoPostfix } from '../../support/real-postfix.ts';
import {
  type RunningDaemon,
  type ScriptedMaster,
  scriptedMaster,
} from '../../support/scripted-master.ts';

const MAKERS: readonly Maker[] = ['ours', 'real'];
const PROGRAMS: Readonly<Record<Maker, string>> = {
  ours: 'libexec/anvil',
  real: `${REAL_DAEMONS}/anvil`,
};

interface Anvil {
  /** Where Postfix's anvil logs. */
  readonly socket: LogSocket;
  readonly master: ScriptedMaster;
  readonly daemon: RunningDaemon;
  readonly path: string;
}

function startAnvil(
  t: TestContext,
  maker: Maker,
  main: Readonly<Record<string, string>> = {},
): Anvil {
  const master = scriptedMaster(t, { mail_owner: 'postfix', ...main });
  const socket = logSocket(t, master.path('public/postlog'));
  const listen = 'private/anvil';
  const args = ['-l', '-n', 'anvil'];
  const daemon = master.start({ program: PROGRAMS[maker], listen, args });
  return { master, socket, daemon, path: master.path(listen) };
}

/** A server process that reports to anvil. */
class ServerProcess {
  readonly #socket: Socket;
  #received = '';
  #closed = false;

  constructor(t: TestContext, path: string) {
    this.#socket = connect(path);
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: string) => {
      this.#received += text;
    });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.#closed = true;
    });
    atEnd(t, () => this.close());
  }

  /** @returns the answer, with `CLOSED` behind it when the connection has been closed */
  async say(text: string): Promise<string> {
    this.#socket.write(text, 'latin1');
    return this.hear();
  }

  async hear(): Promise<string> {
    await eventually('an answer', () => this.#closed || this.#received.endsWith('\n\n'));
    const answer = this.#received;
    this.#received = '';
    return this.#closed ? `${answer}CLOSED` : answer;
  }

  ask(request: string, ident: string): Promise<string> {
    return this.say(`request=${request}\nident=${ident}\n\n`);
  }

  async close(): Promise<void> {
    this.#socket.destroy();
    await eventually('the end', () => this.#closed);
  }
}

/** Requests of several server processes, with what to wait for; a `!` is a process that goes away. */
const CONVERSATIONS: Readonly<Record<string, readonly string[]>> = {
  'one client': [
    'a connect s:1',
    'a lookup s:1',
    'a message s:1',
    'a recipient s:1',
    'a recipient s:1',
    'a newtls_status s:1',
    'a newtls s:1',
    'a newtls_status s:1',
    'a auth s:1',
    'a lookup s:1',
    'a disconnect s:1',
    'a lookup s:1',
    'a connect s:1',
  ],
  'a client with several processes': [
    'a connect s:1',
    'b connect s:1',
    'c connect s:1',
    'b disconnect s:1',
    'a lookup s:1',
    'b disconnect s:1',
    'a lookup s:1',
    'b connect s:1',
  ],
  'services are counted apart': ['a connect s:1', 'b connect t:1', 'a lookup s:1', 'b lookup t:1'],
  'a process that dies takes its client along': [
    'a connect s:1',
    'b connect s:1',
    '!a',
    'b lookup s:1 count=1',
  ],
  'a process has one client': [
    'a connect s:1',
    'b connect s:1',
    'a connect s:2',
    'b lookup s:1',
    'a connect s:2',
    'a connect s:2',
    'b lookup s:2',
    'a disconnect s:1',
    'b lookup s:1',
    'b lookup s:2',
  ],
  "a process says goodbye to another one's client": [
    'a connect s:1',
    'b disconnect s:1',
    'b lookup s:1',
    'a disconnect s:2',
    'a lookup s:1',
  ],
  'requests of a client that never connected': [
    'a message s:1',
    'a lookup s:1',
    'b recipient s:1',
    'b lookup s:1',
    'b auth s:2',
    'b newtls s:3',
    'a lookup s:2',
    'a lookup s:3',
    'b disconnect s:3',
    'a lookup s:3',
    'a disconnect s:4',
    'a newtls_status s:5',
    'a lookup s:5',
  ],
  'unknown requests': [
    'a newtls_report s:1',
    'a lookup s:1',
    'a  s:1',
    'a CONNECT s:1',
    'a lookup ',
  ],
};

const MALFORMED: Readonly<Record<string, string>> = {
  'the wrong order': 'ident=s:1\nrequest=connect\n\n',
  'no ident': 'request=connect\n\n',
  'an empty list': '\n',
  'no equals sign': 'request\nident=s:1\n\n',
};

for (const [name, conversation] of Object.entries(CONVERSATIONS)) {
  test(`answers and statistics: ${name}`, { skip: whyNoPostfix() }, async (t) => {
    const [ours, real] = await Promise.all(MAKERS.map((maker) => play(t, maker, conversation)));
    assert.deepEqual(ours, real);
  });
}

/** @returns the answers, and the statistics */
async function play(t: TestContext, maker: Maker, steps: readonly string[]): Promise<string[]> {
  const { path, master, socket, daemon } = startAnvil(t, maker);
  const processes = new Map<string, ServerProcess>();
  const answers: string[] = [];
  const processOf = async (name: string) => {
    const known = processes.get(name);
    if (known !== undefined) return known;
    const made = new ServerProcess(t, path);
    processes.set(name, made);
    answers.push(await made.hear());
    return made;
  };
  for (const step of steps) {
    if (step.startsWith('!')) {
      await processes.get(step.slice(1))?.close();
      continue;
    }
    const [name = '', request = '', ident = '', until = ''] = step.split(' ');
    const server = await processOf(name);
    const answer = await eventually(step, async () => {
      const text = await server.ask(request, ident);
      return text.includes(until) && text;
    });
    answers.push(`${step}: ${answer}`);
  }
  daemon.disconnect();
  await daemon.ended;
  const lines = [...master.log().split('\n'), ...socket.lines().map((line) => line.trimEnd())];
  const statistics = lines
    .filter((line) => line.includes('statistics: '))
    .map((line) => line.replace(/^.*?\]: /, '').replace(/\d\d:\d\d:\d\d$/, 'TIME'));
  return [...answers, ...statistics];
}

test('requests that make no sense', { skip: whyNoPostfix() }, async (t) => {
  for (const [name, bytes] of Object.entries(MALFORMED)) {
    const replies = MAKERS.map(async (maker) => {
      const { path } = startAnvil(t, maker);
      const server = new ServerProcess(t, path);
      await server.hear();
      return server.say(bytes);
    });
    const [ours, real] = await Promise.all(replies);
    assert.equal(ours, real, name);
  }
});

test('attributes that are not known are skipped', { skip: whyNoPostfix() }, async (t) => {
  for (const maker of MAKERS) {
    const server = new ServerProcess(t, startAnvil(t, maker).path);
    await server.hear();
    assert.equal(
      await server.say('request=connect\nident=s:1\nx=y\n\n'),
      'status=0\ncount=1\nrate=1\n\n',
      maker,
    );
  }
});

test('rates are for a time unit, and statistics for an interval', async (t) => {
  const { master, path } = startAnvil(t, 'ours', {
    anvil_rate_time_unit: '1s',
    anvil_status_update_time: '2s',
  });
  const server = new ServerProcess(t, path);
  await server.hear();
  await server.ask('connect', 's:192.0.2.1');
  await server.ask('message', 's:192.0.2.1');
  await eventually('the rates to be forgotten', async () => {
    const known = await server.ask('lookup', 's:192.0.2.1');
    return known === 'status=0\ncount=1\nrate=0\nmail=0\nrcpt=0\nnewtls=0\nauth=0\n\n';
  });
  const at = 'at [A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d';
  for (const what of [
    'connection rate 1/1s for \\(s:192\\.0\\.2\\.1\\)',
    'connection count 1 for \\(s:192\\.0\\.2\\.1\\)',
    'message rate 1/1s for \\(s:192\\.0\\.2\\.1\\)',
    'cache size 1',
  ]) {
    await master.waitForLog(new RegExp(`anvil\\[\\d+\\]: statistics: max ${what} ${at}\n`));
  }
});

test('it stays for a time unit, however impatient max_idle is', async (t) => {
  const { daemon, path } = startAnvil(t, 'ours', { max_idle: '1s', anvil_rate_time_unit: '3s' });
  const server = new ServerProcess(t, path);
  await server.hear();
  const askedAt = monotonic();
  await server.ask('message', 's:1');
  await server.close();
  assert.deepEqual(await daemon.ended, { code: 0, signal: null });
  assert.ok(monotonic() - askedAt > 2500);
});

test('it wants to be the only one', async (t) => {
  const master = scriptedMaster(t, {});
  const daemon = master.start({ program: PROGRAMS.ours, listen: 'private/anvil' });
  assert.equal((await daemon.ended).code, 1);
  assert.match(master.log(), /fatal: service anvil requires a process limit of 1/);
});

const UNIT = 60_000;

test('those who have left are forgotten, and only those', () => {
  const peaks = new Peaks(60);
  const table = new ClientTable(UNIT, peaks);
  const stays: Reporter = {};
  table.connect('s:stays', stays, 0);
  for (let at = 0; at < 1000; at += 1) {
    const reporter: Reporter = {};
    table.connect(`s:${at}`, reporter, at * UNIT);
    table.release(reporter, at * UNIT);
  }
  assert.equal(table.lookup('s:stays', 1000 * UNIT).count, 1);
  assert.equal(table.lookup('s:998', 1000 * UNIT).rates.connection, 0);
  assert.deepEqual(
    peaks.take().map((line) => line.replace(/ at .*/, '')),
    [
      'statistics: max connection rate 1/60s for (s:stays)',
      'statistics: max connection count 1 for (s:stays)',
      'statistics: max cache size 2',
    ],
  );
  assert.deepEqual(peaks.take(), []);
});

test('a client that comes back within its time unit is remembered', () => {
  const table = new ClientTable(UNIT, new Peaks(60));
  const reporter: Reporter = {};
  table.connect('s:1', reporter, 0);
  table.disconnect('s:1', reporter, 10);
  assert.equal(table.connect('s:1', reporter, UNIT).rates.connection, 2);
  assert.equal(table.add('auth', 's:1', reporter, UNIT), 1);
  assert.equal(table.add('auth', 's:1', reporter, UNIT + 1), 1);
  assert.deepEqual(table.lookup('s:1', UNIT + 1).rates, {
    connection: 0,
    message: 0,
    recipient: 0,
    newtls: 0,
    auth: 1,
  });
});
