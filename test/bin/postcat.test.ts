import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freshDirectory } from '../support/directories.ts';
import { writeSettled } from '../support/settled-file.ts';

const POSTCAT = resolve('build/bin/postcat');
const DATA = resolve('test/data/queue');
const REAL = '/usr/sbin/postcat';
const MESSAGES = [
  'deferred',
  'dsn',
  'filter-redirect',
  'long-lines',
  'maildrop',
  'milter',
] as const;

function run(program: string, args: readonly string[], cwd = DATA, input?: Buffer) {
  const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
  const result = spawnSync(program, args, { cwd, input, env: { ...environment, TZ: 'UTC' } });
  return {
    status: result.status,
    stdout: result.stdout.toString('latin1'),
    stderr: result.stderr.toString('latin1'),
  };
}

/** A configuration and an empty queue for both programs. */
function instance(t: TestContext): { config: string; queue: string } {
  const config = freshDirectory(t, 'postcat');
  const queue = join(config, 'spool');
  for (const name of ['hold', 'deferred/B', 'incoming'])
    mkdirSync(join(queue, name), { recursive: true });
  const main = `queue_directory = ${queue}\ncompatibility_level = 3.6\n`;
  writeSettled(join(config, 'main.cf'), main);
  writeFileSync(join(config, 'master.cf'), '');
  return { config, queue };
}

for (const name of [...MESSAGES, 'milter-third-recipient', 'sendmail', 'verp']) {
  test(`postcat prints ${name} as Postfix does`, () => {
    const { status, stdout, stderr } = run(POSTCAT, [name]);
    assert.equal(stdout, readFileSync(join(DATA, `${name}.txt`), 'latin1'));
    assert.equal(stderr, '');
    assert.equal(status, 0);
  });
}

const OPTIONS = ['-o', '-od', '-odv', '-r', '-rv', '-e', '-h', '-b', '-bh', '-eb', '-bv', '-os97'];

test('postcat prints parts, offsets, types and pointers as Postfix does', (t) => {
  if (!existsSync(REAL)) return t.skip('Postfix is not installed');
  const { config } = instance(t);
  for (const option of OPTIONS) {
    for (const name of MESSAGES) {
      const theirs = run(REAL, ['-c', config, option, name]);
      const ours = run(POSTCAT, [option, name]);
      assert.equal(ours.stdout, theirs.stdout, `${option} ${name}`);
      assert.equal(ours.status, theirs.status, `${option} ${name}`);
    }
  }
  return undefined;
});

test('postcat reads a queue file from its input', () => {
  const bytes = readFileSync(join(DATA, 'milter'));
  const { stdout } = run(POSTCAT, [], DATA, bytes);
  const expected = readFileSync(join(DATA, 'milter.txt'), 'latin1');
  assert.equal(stdout, expected.replaceAll(' milter ***', ' stdin ***'));
});

test('postcat -q finds a message in its queue', (t) => {
  const { config, queue } = instance(t);
  copyFileSync(join(DATA, 'dsn'), join(queue, 'hold/AAAAA1'));
  copyFileSync(join(DATA, 'dsn'), join(queue, 'deferred/B/BBBBB2'));
  const { stdout } = run(POSTCAT, ['-c', config, '-q', '-e', 'BBBBB2', 'AAAAA1']);
  assert.match(stdout, /^\*\*\* ENVELOPE RECORDS deferred\/B\/BBBBB2 \*\*\*$/m);
  assert.match(stdout, /^\*\*\* MESSAGE FILE END hold\/AAAAA1 \*\*\*$/m);
});

const ERRORS: [string[], number, string][] = [
  [['-q', 'NOSUCH'], 1, 'postcat: fatal: open queue file NOSUCH: No such file or directory\n'],
  [['-q', 'bad/id'], 1, 'postcat: fatal: bad mail queue ID: bad/id\n'],
  [['/nonexistent'], 1, 'postcat: fatal: open /nonexistent: No such file or directory\n'],
  [['README.md'], 0, 'postcat: warning: README.md: input is not a valid queue file\n'],
  [['-s', 'x', 'dsn'], 1, 'postcat: fatal: bad offset: x\n'],
];

for (const [args, status, stderr] of ERRORS) {
  test(`postcat ${args.join(' ')} says what is wrong`, (t) => {
    const { config } = instance(t);
    const result = run(POSTCAT, ['-c', config, ...args]);
    assert.equal(result.stderr, stderr);
    assert.equal(result.status, status);
  });
}

test('postcat says how it is used', () => {
  const { status, stderr } = run(POSTCAT, ['-Z']);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^postcat: invalid option -- 'Z'\npostcat: fatal: usage: postcat \[-b \(body text\)\]/,
  );
});

test('postcat tells of damage', (t) => {
  const { config, queue } = instance(t);
  const bytes = readFileSync(join(DATA, 'dsn'));
  writeFileSync(join(queue, 'cut'), bytes.subarray(0, 1000));
  const { status, stdout, stderr } = run(POSTCAT, ['-c', config, 'cut'], queue);
  assert.equal(status, 1);
  assert.match(stdout, /recipient: bob@hold\.test/);
  assert.match(
    stderr,
    /^postcat: warning: cut: record truncated at offset \d+\npostcat: fatal: record read error\n$/,
  );
});
