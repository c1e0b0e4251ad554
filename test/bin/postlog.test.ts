/** postlog says what real postlog says. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freshDirectory } from '../support/directories.ts';

const OURS = join(process.cwd(), 'build/bin/postlog.cjs');
const REAL = '/usr/sbin/postlog';

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly lines: readonly string[];
}

function instance(t: TestContext) {
  const directory = freshDirectory(t);
  const file = join(directory, 'mail.log');
  writeFileSync(
    join(directory, 'main.cf'),
    `compatibility_level = 3.6\nsmtputf8_enable = yes\nmyhostname = mail.example.com\nqueue_directory = ${directory}\n` +
      `maillog_file = ${file}\nmaillog_file_prefixes = /\n`,
  );
  return (program: string, args: readonly string[], input = ''): Run => {
    rmSync(file, { force: true });
    const command = program === OURS ? process.execPath : program;
    const first = program === OURS ? [program] : [];
    const { status, stdout, stderr } = spawnSync(command, [...first, '-c', directory, ...args], {
      input,
      encoding: 'utf8',
    });
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    const lines = text
      .split('\n')
      .map((line) => line.replace(/^.{15} mail /, '').replace(/\[\d+\]/, ''));
    return { status, stdout, stderr, lines };
  };
}

const CASES: readonly (readonly [args: readonly string[], input?: string])[] = [
  [['hello']],
  [['a  b', 'c']],
  [['']],
  [['-p', 'info', 'x']],
  [['-p', 'warn', 'x']],
  [['-p', 'error', 'x']],
  [['-p', 'fatal', 'x']],
  [['-p', 'panic', 'x']],
  [['-i', '-t', 'mytag', '-p', 'warn', 'x']],
  [['--', '-x']],
  [['x', '-p', 'warn']],
  [[], 'one\n\ntwo \x01\x1b[31m é\nthree'],
  [['-p', 'warn'], 'one\n'],
  [[], ''],
  [['-Z']],
];

test('postlog as real Postfix has it', { skip: !existsSync(REAL) && 'not installed' }, (t) => {
  const run = instance(t);
  for (const [args, input] of CASES) {
    assert.deepEqual(run(OURS, args, input), run(REAL, args, input), JSON.stringify(args));
  }
});

test('postlog logs its arguments as one line', (t) => {
  const run = instance(t);
  const { status, lines } = run(OURS, ['-p', 'warn', 'hello', 'world']);
  assert.equal(status, 0);
  assert.deepEqual(lines, ['postfix/postlog: warning: hello world', '']);
});

test('postlog refuses a severity that is none', (t) => {
  assert.equal(instance(t)(OURS, ['-p', 'bogus', 'x']).status, 1);
});
