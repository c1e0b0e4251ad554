/** postconf changes files in place: what must survive an edit, and one that fails. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { atEnd } from '../support/cleanup.ts';
import { freshDirectory } from '../support/directories.ts';
import { BUILD } from '../support/mail-system.ts';

const POSTCONF = join(BUILD, 'bin/postconf');
const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;
const MAIN = '# ours\nrelayhost = a\n# end\n';

function configure(t: TestContext): string {
  const directory = freshDirectory(t);
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, 'main.cf'), MAIN);
  writeFileSync(join(directory, 'master.cf'), 'smtp unix - - n - - smtp\n');
  return directory;
}

function edit(directory: string, args: readonly string[], uid?: number) {
  const { status, stderr } = spawnSync(POSTCONF, ['-c', directory, ...args], {
    encoding: 'utf8',
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  return { status, stderr };
}

const DONE = { status: 0, stderr: '' };

for (const [file, args] of [
  ['main.cf', ['relayhost=b']],
  ['master.cf', ['-F', 'smtp/unix/chroot=y']],
] as const) {
  test(`an edit of ${file} keeps its permissions`, (t) => {
    const directory = configure(t);
    chmodSync(join(directory, file), 0o640);
    assert.deepEqual(edit(directory, args), DONE);
    assert.equal(statSync(join(directory, file)).mode & 0o7777, 0o640);
  });

  test(`an edit of ${file} keeps its owner`, { skip: isRoot ? false : 'needs root' }, (t) => {
    const directory = configure(t);
    chownSync(join(directory, file), NOBODY, NOBODY);
    assert.deepEqual(edit(directory, args), DONE);
    const { uid, gid } = statSync(join(directory, file));
    assert.deepEqual([uid, gid], [NOBODY, NOBODY]);
  });

  test(`an edit of ${file} goes through a symbolic link`, (t) => {
    const directory = configure(t);
    mkdirSync(join(directory, 'real'));
    const text = readFileSync(join(directory, file), 'utf8');
    writeFileSync(join(directory, 'real', file), text);
    const linked = join(directory, 'linked');
    mkdirSync(linked);
    symlinkSync(`../real/${file}`, join(linked, file));
    assert.deepEqual(edit(linked, args), DONE);
    assert.equal(readlinkSync(join(linked, file)), `../real/${file}`);
    assert.notEqual(readFileSync(join(directory, 'real', file), 'utf8'), text);
    assert.deepEqual(readdirSync(join(directory, 'real')), [file]);
  });
}

test('an edit keeps comments, order and foreign bytes', (t) => {
  const directory = configure(t);
  const text = (value: string) =>
    Buffer.from(`#\xe9\n\nx = \xff\n  \n# in x\n  y\nrelayhost = ${value}\n#z\n`, 'latin1');
  writeFileSync(join(directory, 'main.cf'), text('a'));
  assert.deepEqual(edit(directory, ['relayhost=b']), DONE);
  assert.deepEqual(readFileSync(join(directory, 'main.cf')), text('b'));
});

/** Nothing has changed, and nothing was left behind. */
function assertWhole(directory: string): void {
  assert.equal(readFileSync(join(directory, 'main.cf'), 'utf8'), MAIN);
  assert.deepEqual(readdirSync(directory).sort(), ['main.cf', 'master.cf']);
}

test('a read-only directory: the old file stays', { skip: isRoot ? false : 'needs root' }, (t) => {
  const directory = configure(t);
  const { status, stderr } = edit(directory, ['relayhost=b'], NOBODY);
  assert.equal(stderr, `postconf: fatal: open ${directory}/main.cf.tmp: Permission denied\n`);
  assert.equal(status, 1);
  assertWhole(directory);
});

test('a full disk: the old file stays', (t) => {
  const directory = configure(t);
  const small = join(directory, 'small');
  mkdirSync(small);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'none', small]);
  if (mounted.status !== 0) {
    t.skip('nobody may mount here');
    return;
  }
  atEnd(t, () => {
    spawnSync('umount', [small]);
  });
  for (const file of ['main.cf', 'master.cf']) {
    writeFileSync(join(small, file), readFileSync(join(directory, file)));
  }
  const { status, stderr } = edit(small, [`relayhost=${'x'.repeat(20_000)}`]);
  assert.equal(stderr, `postconf: fatal: close ${small}/main.cf.tmp: No space left on device\n`);
  assert.equal(status, 1);
  assertWhole(small);
});

test('a file size limit: the old file stays', (t) => {
  const directory = configure(t);
  const command = `ulimit -f 0; exec '${POSTCONF}' -c '${directory}' relayhost=b 2>&1`;
  const { status, signal } = spawnSync('sh', ['-c', command]);
  assert.ok(status !== 0 || signal !== null);
  assert.equal(readFileSync(join(directory, 'main.cf'), 'utf8'), MAIN);
  assert.deepEqual(edit(directory, ['relayhost=b']), DONE);
  assert.match(readFileSync(join(directory, 'main.cf'), 'utf8'), /^relayhost = b$/m);
});

test('an operand that is refused leaves no work file', (t) => {
  const directory = configure(t);
  assert.equal(edit(directory, ['-F', 'smtp/unix/chroot=maybe']).status, 1);
  writeFileSync(join(directory, 'master.cf'), 'smtp unix\n');
  const text = /bad field count/;
  assert.match(edit(directory, ['-F', 'smtp/unix/chroot=y']).stderr, text);
  assertWhole(directory);
});

test("an edit waits for another one's lock, Postfix's too", async (t) => {
  const directory = configure(t);
  const work = join(directory, 'main.cf.tmp');
  const holder = spawn('flock', [work, 'sh', '-c', 'echo locked; read line'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  atEnd(t, () => {
    holder.kill();
  });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const editor = spawn(POSTCONF, ['-c', directory, 'relayhost=b'], { stdio: 'inherit' });
  const ended = new Promise<number | null>((resolve) => editor.once('exit', resolve));
  const first = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 2000))]);
  assert.equal(first, undefined, 'it did not wait');
  assert.equal(readFileSync(join(directory, 'main.cf'), 'utf8'), MAIN);
  holder.stdin.end('\n');
  assert.equal(await ended, 0);
  assert.match(readFileSync(join(directory, 'main.cf'), 'utf8'), /^relayhost = b$/m);
  assert.ok(lstatSync(join(directory, 'main.cf')).isFile());
});
