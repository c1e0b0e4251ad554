import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withEffectiveUser } from '../../../lib/os/identity.ts';
import { checkDirectory, readInclude, searchForward } from '../../../services/local/list-file.ts';
import { needsRoot, scratchDirectory } from '../../lib/os/scratch.ts';

const UID = process.getuid?.() ?? 0;
const limits = { bytesMax: 100 };
const search = (...paths: string[]) =>
  searchForward({ kind: 'forward', paths, uid: UID, ...limits });

test('the first .forward file that is there counts', (t) => {
  const directory = scratchDirectory(t);
  const first = join(directory, 'first');
  const second = join(directory, 'second');
  assert.equal(search(first, second), undefined);
  writeFileSync(second, 'ann\n');
  const found = search(first, second);
  assert.deepEqual(found, { kind: 'list', path: second, text: 'ann\n', uid: UID });
  writeFileSync(first, '');
  assert.deepEqual(search(first, second), { kind: 'list', path: first, text: '', uid: UID });
});

test('a .forward file that must not be used is ignored, and the log says why', (t) => {
  const directory = scratchDirectory(t);
  const path = join(directory, '.forward');
  const ignored = (why: string) => ({ kind: 'ignored', path, text: `file ${path} ${why}` });
  writeFileSync(path, 'ann');
  chmodSync(path, 0o646);
  assert.deepEqual(search(path), ignored('is world writable'));
  chmodSync(path, 0o644);
  writeFileSync(path, 'x'.repeat(101));
  assert.deepEqual(search(path), ignored('is larger than 100 bytes'));
  const link = join(directory, 'link');
  symlinkSync(path, link);
  assert.equal(search(link)?.kind, 'ignored');
  const folder = join(directory, 'folder');
  mkdirSync(folder);
  assert.equal(search(folder)?.kind, 'ignored');
});

test('a .forward file of somebody else is ignored, of root it is not', { skip: needsRoot }, (t) => {
  const directory = scratchDirectory(t);
  chmodSync(directory, 0o755);
  const path = join(directory, '.forward');
  writeFileSync(path, 'ann');
  chownSync(path, 12345, 0);
  assert.match(JSON.stringify(search(path)), /has bad owner uid 12345/);
  const owner = { kind: 'forward', paths: [path], uid: 12345, ...limits } as const;
  assert.equal(searchForward(owner)?.kind, 'list');
  chownSync(path, 0, 0);
  assert.equal(searchForward(owner)?.kind, 'list');
});

test('a list that its reader may not read is not read', { skip: needsRoot }, (t) => {
  const directory = scratchDirectory(t);
  chmodSync(directory, 0o755);
  const path = join(directory, 'list');
  writeFileSync(path, 'secret', { mode: 0o600 });
  const read = () => readInclude({ kind: 'include', path, ...limits });
  const user = { uid: 12345, gid: 12346, groups: [] };
  assert.match(
    JSON.stringify(withEffectiveUser(user, read)),
    /cannot open file .*Permission denied/,
  );
  assert.equal(read().kind, 'list');
});

test(':include: files that must not be used are told as Postfix tells them', (t) => {
  const directory = scratchDirectory(t);
  const path = join(directory, 'list');
  const read = () => readInclude({ kind: 'include', path, ...limits });
  const text = (result: ReturnType<typeof read>) => ('text' in result ? result.text : '');
  assert.equal(text(read()), `unable to lookup :include: file ${path}: No such file or directory`);
  writeFileSync(path, 'bob');
  assert.equal(text(read()), 'bob');
  chmodSync(path, 0o646);
  assert.equal(text(read()), `:include: file ${path} is world writable`);
});

test('a directory is there, or mail waits', (t) => {
  const directory = scratchDirectory(t);
  assert.equal(checkDirectory({ kind: 'home', path: directory }), undefined);
  const path = join(directory, 'gone');
  assert.deepEqual(checkDirectory({ kind: 'home', path }), {
    kind: 'failed',
    status: '4.3.0',
    text: `cannot access home directory ${path}: No such file or directory`,
  });
});
