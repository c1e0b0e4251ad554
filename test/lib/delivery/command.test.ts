import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandLine, runCommand } from '../../../lib/delivery/command.ts';
import { needsRoot } from '../os/scratch.ts';

const LINES: readonly [command: string, words: readonly string[], otherwise: boolean][] = [
  ['/bin/cat -u file', ['/bin/cat', '-u', 'file'], false],
  ['cat -u', ['cat', '-u'], true],
  ['exit 67', ['exit', '67'], true],
  ['/bin/cat >x', ['/bin/sh', '-c', '/bin/cat >x'], false],
  ['echo "$HOME"', ['/bin/sh', '-c', 'echo "$HOME"'], false],
  ['a;b', ['/bin/sh', '-c', 'a;b'], false],
  ['a`b`', ['/bin/sh', '-c', 'a`b`'], false],
  ['a\nb', ['/bin/sh', '-c', 'a\nb'], false],
];

for (const [command, words, otherwise] of LINES) {
  test(`${JSON.stringify(command)} starts ${words[0]}`, () => {
    const line = commandLine(command, '');
    assert.deepEqual(line.words, words);
    assert.deepEqual(line.otherwise, otherwise ? ['/bin/sh', '-c', command] : undefined);
  });
}

test('local_command_shell gets every command as one word', () => {
  assert.deepEqual(commandLine('/bin/x a', '/bin/smrsh -c').words, [
    '/bin/smrsh',
    '-c',
    '/bin/x a',
  ]);
});

const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

async function* message(text = 'the message\n'): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}

function run(command: string, more: Partial<Parameters<typeof runCommand>[0]> = {}) {
  return runCommand({
    ...commandLine(command, ''),
    ...own,
    environment: { PATH: '/usr/bin:/bin' },
    directory: '/',
    timeLimitMs: 60_000,
    input: message(),
    ...more,
  });
}

test('a command reads the message, and what it says is on one line', async () => {
  const { end, output } = await run('cat; echo error >&2; pwd; echo "${HOME-no home}"');
  assert.deepEqual(end, { kind: 'exit', status: 0 });
  assert.equal(output, 'the message error / no home ');
});

test('standard input and output are pipes: /dev/stdin and /dev/stderr can be opened', async () => {
  const { end, output } = await run('cat /dev/stdin > /dev/stderr');
  assert.deepEqual([end, output], [{ kind: 'exit', status: 0 }, 'the message ']);
});

test('a command that only the shell knows is run by the shell', async () => {
  assert.deepEqual((await run('exit 67')).end, { kind: 'exit', status: 67 });
});

test('a program that is not there is a temporary failure', async () => {
  const { end, output } = await run('/no/such/program x');
  assert.deepEqual(end, { kind: 'exit', status: 75 });
  assert.equal(output, 'local: fatal: execvp /no/such/program: No such file or directory ');
});

test('a command need not read all of the message', async () => {
  async function* endless() {
    for (let count = 0; count < 1000; count += 1) yield Buffer.alloc(10_000, 'x');
  }
  const { end, inputError } = await run('/bin/true', { input: endless() });
  assert.deepEqual([end, inputError], [{ kind: 'exit', status: 0 }, undefined]);
});

test('a message that cannot be read is told apart from a command that failed', async () => {
  // biome-ignore lint/correctness/useYield: it fails before it has anything to yield
  async function* broken(): AsyncGenerator<Buffer> {
    throw new Error('damaged');
  }
  const { inputError } = await run('cat', { input: broken() });
  assert.match(String(inputError), /damaged/);
});

test('a signal is told', async () => {
  assert.deepEqual((await run('kill -9 $$')).end, { kind: 'signal', signal: 9 });
});

test('long output is cut, and read to its end all the same', async () => {
  const { end, output } = await run('head -c 1000000 /dev/zero | tr "\\0" x');
  assert.deepEqual(end, { kind: 'exit', status: 0 });
  assert.equal(output, 'x'.repeat(4096));
});

test('the time limit ends the command and all that it started', async () => {
  // The last process to hold the pipe's other end is the one in the background.
  const { end } = await run('sleep 1000 & sleep 1000', { timeLimitMs: 200 });
  assert.deepEqual(end, { kind: 'timeout' });
});

test('a command runs with uid, gid and no other groups', { skip: needsRoot }, async () => {
  const { output } = await run('id -u; id -g; id -G', { uid: 12345, gid: 12346 });
  assert.equal(output, '12345 12346 12346 ');
});
