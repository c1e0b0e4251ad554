/** socketmap and tcp tables: what they ask, what they make of answers, and of servers in trouble. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { NetstringError, parseNetstring } from '../../../lib/table/netstring.ts';
import { openTable, openTableOrThrow, TableError } from '../../../lib/table/table.ts';
import { decodeWord, encodeWord } from '../../../lib/table/tcp-table.ts';
import { atEnd } from '../../support/cleanup.ts';
import { freshDirectory } from '../../support/directories.ts';
import { freePort } from '../../support/ports.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { writeSettled } from '../../support/settled-file.ts';
import { startSocketMap, startTcpMap } from './map-server.ts';
import { Notes, UTF8 } from './support.ts';

interface Ran {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs a postmap while this process goes on serving. */
function postmap(t: TestContext, program: string, args: readonly string[]): Promise<Ran> {
  const directory = freshDirectory(t);
  writeSettled(join(directory, 'main.cf'), 'compatibility_level = 3.6\n');
  const env = { PATH: '/usr/bin:/bin', MAIL_CONFIG: directory, LANG: 'C' };
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (bytes) => {
    output += bytes;
  });
  child.stderr.on('data', (bytes) => {
    errors += bytes;
  });
  return new Promise((done) => {
    child.on('close', (status) => done({ status, output, errors }));
  });
}

/** The reason is ours: Postfix shows whatever the last system call left in errno. */
function withoutReason(text: string): string {
  return text.replace(/(fatal: table \S+: query error).*/, '$1');
}

async function compare(t: TestContext, table: string, key: string): Promise<void> {
  const ours = await postmap(t, resolve('build/bin/postmap'), ['-q', key, table]);
  const theirs = await postmap(t, '/usr/sbin/postmap', ['-q', key, table]);
  assert.equal(ours.output, theirs.output, `${table} ${key}`);
  assert.equal(withoutReason(ours.errors), withoutReason(theirs.errors), `${table} ${key}`);
  assert.equal(ours.status, theirs.status, `${table} ${key}`);
}

const LONGEST = `OK ${'z'.repeat(99_997)}`;

const SOCKETMAP: Readonly<Record<string, string | Buffer | undefined>> = {
  found: 'OK some thing ',
  none: 'NOTFOUND ',
  'none-at-all': 'NOTFOUND',
  temp: 'TEMP later',
  timeout: 'TIMEOUT slow',
  perm: 'PERM bad',
  'temp-unsaid': 'TEMP',
  'perm-unsaid': 'PERM ',
  'ok-only': 'OK',
  empty: 'OK ',
  what: 'WHAT x',
  nothing: '',
  'lower-case': 'ok x',
  tab: 'OK\tx',
  nul: 'OK x\0y',
  longest: LONGEST,
  'too-long': `${LONGEST}z`,
  gone: undefined,
  'no-number': Buffer.from('xyz,'),
  'no-comma': Buffer.from('5:OK xyz'),
  zeros: Buffer.from('005:OK xy,'),
  huge: Buffer.from('99999999999999:'),
  'ü x%': 'OK blanks',
};

const scripted =
  (answers: Readonly<Record<string, string | Buffer | undefined>>) => (key: string) => {
    const name = Buffer.from(key, 'latin1').toString();
    return Object.hasOwn(answers, name) ? answers[name] : `OK <${key}>`;
  };

test('socketmap answers as Postfix does', { skip: whyNoPostfix() }, async (t) => {
  const { address } = await startSocketMap(t, scripted(SOCKETMAP));
  for (const key of [...Object.keys(SOCKETMAP), 'Capitals', '']) {
    await compare(t, `socketmap:inet:${address}:name`, key);
  }
  const path = join(freshDirectory(t), 'socket');
  await startSocketMap(t, scripted(SOCKETMAP), path);
  for (const table of [
    `socketmap:unix:${path}:name`,
    'socketmap:unix:/no/such:name',
    `socketmap:inet:127.0.0.1:${await freePort()}:name`,
    'socketmap:foo',
    'socketmap:inet:foo',
    'socketmap:unix:/x',
    'socketmap:bar:x:y',
  ]) {
    await compare(t, table, 'found');
  }
});

const TCP: Readonly<Record<string, string | undefined>> = {
  found: '200 a%20b c\n',
  none: '500 no\n',
  temp: '400 later\n',
  malformed: '200 a%20b%zz\n',
  bare: '200\n',
  empty: '200 \n',
  glued: '200x y\n',
  short: '2\n',
  blanks: '200   a  b \n',
  nothing: '\n',
  code: '300 x\n',
  nul: '200 a%00b\n',
  return: '200 cr\r\n',
  'a%20%25%09%C3%BC': '200 encoded\n',
};

test('tcp answers as Postfix does', { skip: whyNoPostfix() }, async (t) => {
  const { address } = await startTcpMap(t, (key) => TCP[key] ?? `200 <${encodeWord(key)}>\n`);
  for (const key of [...Object.keys(TCP), 'Capitals', 'a %\tü', '']) {
    await compare(t, `tcp:${address}`, key);
  }
});

test('tcp tries ten times, as Postfix does', { skip: whyNoPostfix() }, async (t) => {
  const { address } = await startTcpMap(t, () => `200 ${'x'.repeat(5000)}\n`);
  await Promise.all([
    compare(t, `tcp:127.0.0.1:${await freePort()}`, 'x'),
    compare(t, `tcp:${address}`, 'x'),
  ]);
});

test('a server that went away between two questions is connected to again', async (t) => {
  const server = await startSocketMap(t, (key) => `OK ${key}`);
  const table = openTableOrThrow(`socketmap:inet:${server.address}:name`, {});
  atEnd(t, () => table.close());
  assert.equal(await table.lookup('a'), 'a');
  assert.equal(await table.lookup('b'), 'b');
  assert.equal(server.connections(), 1, 'the connection is used again');
  server.drop();
  assert.equal(await table.lookup('c'), 'c');
  assert.equal(server.connections(), 2);
});

test('a server that hangs up in mid-query gets a second chance', async (t) => {
  let asked = 0;
  const server = await startSocketMap(t, (key) => {
    asked += 1;
    return asked === 1 ? undefined : `OK ${key}`;
  });
  const notes = new Notes();
  const table = openTableOrThrow(`socketmap:inet:${server.address}:name`, { log: notes });
  atEnd(t, () => table.close());
  assert.equal(await table.lookup('a'), 'a');
  assert.deepEqual(notes.lines, []);
});

test('a server that cannot be had is a table error, never "not found"', async (t) => {
  const server = await startSocketMap(t, () => undefined);
  const notes = new Notes();
  const name = `socketmap:inet:${server.address}:name`;
  const table = openTableOrThrow(name, { log: notes });
  atEnd(t, () => table.close());
  await assert.rejects(async () => table.lookup('a'), {
    name: 'TableError',
    message: `table ${name}: query error: unexpected disconnect; is the server at ${server.address} up?`,
  });
  assert.deepEqual(notes.lines, [`table ${name} lookup error: unexpected disconnect`]);
});

test('many questions at once share a few connections', async (t) => {
  const server = await startTcpMap(t, (key) => `200 ${key}\n`);
  const table = openTableOrThrow(`tcp:${server.address}`, {});
  atEnd(t, () => table.close());
  const keys = Array.from({ length: 200 }, (_, index) => `key${index}`);
  assert.deepEqual(await Promise.all(keys.map(async (key) => table.lookup(key))), keys);
  assert.ok(server.connections() <= 16, `${server.connections()} connections`);
});

test('bytes that are no UTF-8 are no answer', async (t) => {
  const server = await startTcpMap(t, () => '200 %FF\n');
  const table = openTableOrThrow(`tcp:${server.address}`, { configuration: UTF8 });
  atEnd(t, () => table.close());
  await assert.rejects(async () => table.lookup('a'), TableError);
});

for (const name of ['tcp:127.0.0.1:1', 'socketmap:inet:127.0.0.1:1:x']) {
  test(`${name} may not name commands or users`, () => {
    const message = `${name} map is not allowed for security sensitive data`;
    assert.throws(() => openTableOrThrow(name, { sensitive: true }), { message });
    const notes = new Notes();
    const table = openTable(name, { sensitive: true, log: notes });
    assert.throws(() => table.lookup('a'), TableError);
    assert.ok(notes.lines.includes(`error: ${message}`));
  });
}

test('tcp wants a host and a port', () => {
  assert.throws(() => openTableOrThrow('tcp:foo', {}), {
    message: 'tcp:foo: need host:port instead of "foo"',
  });
  assert.throws(() => openTableOrThrow('tcp:localhost:no-such-port', {}), /unknown service name/);
});

test('words are encoded and decoded', () => {
  assert.equal(encodeWord('a b%\tü\x7f'), 'a%20b%25%09%C3%BC%7F');
  assert.equal(decodeWord(Buffer.from('a%20%c3%bc'))?.toString(), 'a ü');
  for (const bad of ['%', '%1', 'a%zz', '%1g']) {
    assert.equal(decodeWord(Buffer.from(bad)), undefined);
  }
});

test('parseNetstring asks for more, or takes one, or refuses', () => {
  for (const part of ['', '3', '3:', '3:ab', '3:abc']) {
    assert.equal(parseNetstring(Buffer.from(part), 10), undefined);
  }
  const found = parseNetstring(Buffer.from('3:abc,rest'), 10);
  assert.equal(found?.content.toString(), 'abc');
  assert.equal(found?.next, 6);
  assert.equal(parseNetstring(Buffer.from('0:,'), 10)?.content.length, 0);
  for (const bad of [':', 'a', '-1:', '3:abcd', '11:', '3 :']) {
    assert.throws(() => parseNetstring(Buffer.from(bad), 10), NetstringError, bad);
  }
});
