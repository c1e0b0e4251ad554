import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fcntlLock, flock } from '../../../lib/os/locks.ts';
import { atEnd } from '../../support/cleanup.ts';
import { scratchDirectory } from './scratch.ts';

/** Locks as other programs do it: perl's fcntl is the classic POSIX lock of mail readers. */
const PERL = {
  flock:
    'use Fcntl ":flock"; open(F,"+<",$ARGV[0]); flock(F,LOCK_EX) or die; $|=1; print "locked\\n"; <STDIN>;',
  fcntl:
    'use Fcntl; open(F,"+<",$ARGV[0]); my $l=pack("s s x4 l! l! i x4",F_WRLCK,0,0,0,0); fcntl(F,F_SETLKW,$l) or die "$!"; $|=1; print "locked\\n"; <STDIN>;',
};

async function holdLock(t: TestContext, kind: keyof typeof PERL, path: string) {
  const holder = spawn('perl', ['-e', PERL[kind], path], { stdio: ['pipe', 'pipe', 'inherit'] });
  atEnd(t, () => holder.kill('SIGKILL'));
  const [said] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')]);
  assert.equal(String(said), 'locked\n');
  return async () => {
    holder.stdin.end();
    await once(holder, 'exit');
  };
}

function openFile(t: TestContext): { path: string; fd: number } {
  const path = join(scratchDirectory(t), 'file');
  writeFileSync(path, '');
  const fd = openSync(path, 'r+');
  atEnd(t, () => closeSync(fd));
  return { path, fd };
}

for (const [kind, lock] of [
  ['flock', flock],
  ['fcntl', fcntlLock],
] as const) {
  test(`${kind}: a lock of another process is seen, and its end`, async (t) => {
    const { path, fd } = openFile(t);
    const release = await holdLock(t, kind, path);
    assert.equal(lock(fd, 'exclusive'), false);
    assert.equal(lock(fd, 'shared'), false);
    await release();
    assert.equal(lock(fd, 'exclusive'), true);
  });

  test(`${kind}: two opens in one process exclude each other`, (t) => {
    const { path, fd } = openFile(t);
    const second = openSync(path, 'r+');
    assert.equal(lock(fd, 'exclusive'), true);
    assert.equal(lock(second, 'exclusive'), false);
    assert.equal(lock(fd, 'unlock'), true);
    assert.equal(lock(second, 'shared'), true);
    assert.equal(lock(fd, 'shared'), true);
    closeSync(second);
    assert.equal(lock(fd, 'exclusive', { wait: true }), true);
  });

  test(`${kind}: a descriptor that is not open is an error, not a busy lock`, () => {
    assert.throws(() => lock(99_999, 'exclusive'), { code: 'EBADF', syscall: `${kind} lock` });
  });
}

test('fcntl: closing another descriptor of the file does not lose the lock', async (t) => {
  const { path, fd } = openFile(t);
  assert.equal(fcntlLock(fd, 'exclusive'), true);
  closeSync(openSync(path, 'r'));
  const other = openSync(path, 'r+');
  atEnd(t, () => closeSync(other));
  assert.equal(fcntlLock(other, 'exclusive'), false);
});
