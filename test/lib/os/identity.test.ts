import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  assumeIdentity,
  groupsOf,
  IdentityError,
  lookupGroup,
  lookupUser,
  restoreIdentity,
  withEffectiveUser,
} from '../../../lib/os/identity.ts';
import { needsRoot, scratchDirectory } from './scratch.ts';

test('users and groups are found by name and by number, or not at all', () => {
  const root = lookupUser('root');
  assert.equal(root?.uid, 0);
  assert.equal(root?.home, '/root');
  assert.deepEqual(lookupUser(0), root);
  assert.equal(lookupUser('no-such-user-here'), undefined);
  assert.equal(lookupUser(4_000_000_123), undefined);
  for (const name of ['', 'root\0x', '../root', 'root:x', 'x'.repeat(100_000)]) {
    assert.equal(lookupUser(name), undefined, JSON.stringify(name.slice(0, 20)));
  }
  assert.deepEqual(lookupGroup('root'), { name: 'root', gid: 0 });
  assert.deepEqual(lookupGroup(0), { name: 'root', gid: 0 });
  assert.equal(lookupGroup('no-such-group-here'), undefined);
});

test('the groups of a user are those that id(1) names', () => {
  const user = lookupUser(process.getuid?.() ?? 0);
  assert.ok(user);
  const { stdout } = spawnSync('id', ['-G', user.name], { encoding: 'utf8' });
  const sorted = (groups: number[]) => groups.sort((a, b) => a - b);
  assert.deepEqual(sorted(groupsOf(user)), sorted(stdout.trim().split(' ').map(Number)));
});

test('an identity counts for files on this thread only', { skip: needsRoot }, async (t) => {
  const directory = scratchDirectory(t);
  chmodSync(directory, 0o711);
  mkdirSync(join(directory, 'home'));
  chownSync(join(directory, 'home'), 12345, 12346);
  writeFileSync(join(directory, 'secret'), 'root only', { mode: 0o600 });

  // Node's own thread pool goes on as root, whenever it gets to the file.
  let elsewhere: Promise<string> | undefined;
  withEffectiveUser({ uid: 12345, gid: 12346, groups: [12346] }, () => {
    elsewhere = readFile(join(directory, 'secret'), 'utf8');
    writeFileSync(join(directory, 'home/file'), 'mine');
    assert.throws(() => readFileSync(join(directory, 'secret')), { code: 'EACCES' });
    assert.throws(() => writeFileSync(join(directory, 'file'), ''), { code: 'EACCES' });
    // Node adds the effective group, which stays root's.
    assert.deepEqual(process.getgroups?.(), [12346, 0]);
  });
  assert.equal(await elsewhere, 'root only');
  const { uid, gid } = statSync(join(directory, 'home/file'));
  assert.deepEqual([uid, gid], [12345, 12346]);
  assert.equal(readFileSync(join(directory, 'secret'), 'utf8'), 'root only');
});

test('supplementary groups count', { skip: needsRoot }, (t) => {
  const directory = scratchDirectory(t);
  chmodSync(directory, 0o711);
  const file = join(directory, 'shared');
  writeFileSync(file, 'for the group', { mode: 0o640 });
  chownSync(file, 0, 777);
  const outsider = { uid: 12345, gid: 12346, groups: [] };
  assert.throws(() => withEffectiveUser(outsider, () => readFileSync(file)), { code: 'EACCES' });
  withEffectiveUser({ ...outsider, groups: [12346, 777] }, () => readFileSync(file));
});

test('an identity is assumed once, and given back also when the work fails', {
  skip: needsRoot,
}, () => {
  const somebody = { uid: 12345, gid: 12346, groups: [] };
  const broken = () => {
    assert.throws(() => assumeIdentity(somebody), IdentityError);
    throw new Error('broken');
  };
  assert.throws(() => withEffectiveUser(somebody, broken), /^Error: broken$/);
  withEffectiveUser(somebody, () => {});
  restoreIdentity();
});

test('without root nobody else can be assumed, only oneself', { skip: needsRoot }, (t) => {
  const directory = scratchDirectory(t);
  chmodSync(directory, 0o711);
  chownSync(directory, 12345, 12346);
  const { seteuid } = process;
  assert.ok(seteuid);
  seteuid(12345);
  try {
    withEffectiveUser({ uid: 12345, gid: 12346, groups: [] }, () => {
      writeFileSync(join(directory, 'mine'), '');
    });
    assert.throws(() => assumeIdentity({ uid: 4, gid: 4, groups: [] }), {
      code: 'EPERM',
      message: 'setfsuid user 4: Operation not permitted',
    });
  } finally {
    seteuid(0);
  }
});

test('a daemon that gives root up keeps the groups of who it becomes, and no others', {
  skip: needsRoot,
}, () => {
  const program = join(process.cwd(), 'build/test/lib/os/becoming.cjs');
  const { stdout } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  const [uid, gid, groups] = JSON.parse(stdout) as [number, number, number[]];
  assert.deepEqual([uid, gid, groups.sort()], [12345, 12346, [12346, 12347]]);
});
