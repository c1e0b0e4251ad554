/** Files that change in each of the ways that certificates are renewed. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileWatch } from '../../../lib/server/file-watch.ts';
import { eventually } from '../../support/condition.ts';
import { freshDirectory } from '../../support/directories.ts';

const CHANGES: Readonly<Record<string, (path: string, other: string) => void>> = {
  'it is written': (path) => writeFileSync(path, 'new'),
  'another takes its place': (path, other) => renameSync(other, path),
  'it is removed': (path) => rmSync(path),
};

for (const [name, change] of Object.entries(CHANGES)) {
  test(`a file has changed when ${name}`, async (t) => {
    const directory = freshDirectory(t);
    const [path, other] = [join(directory, 'file'), join(directory, 'other')];
    for (const each of [path, other]) writeFileSync(each, 'old');
    const watch = new FileWatch('x', [path]);
    t.after(() => watch.close());
    writeFileSync(join(directory, 'log'), 'nobody cares');
    assert.equal(watch.changed(), false);
    change(path, other);
    await eventually('a change', () => watch.changed());
  });
}

test('links to files, and links beside them, are watched where they are changed', async (t) => {
  const directory = freshDirectory(t);
  const at = (name: string) => join(directory, name);
  for (const name of ['one', 'two']) {
    mkdirSync(at(name));
    writeFileSync(at(`${name}/cert`), name);
  }
  symlinkSync('one', at('..data'));
  symlinkSync('..data/cert', at('through'));
  symlinkSync(at('one/cert'), at('direct'));
  const [through, direct, missing] = ['through', 'direct', 'missing'].map(
    (name) => new FileWatch('x', [at(name)]),
  );
  t.after(() => {
    for (const watch of [through, direct, missing]) watch?.close();
  });
  symlinkSync('two', at('new'));
  renameSync(at('new'), at('..data'));
  await eventually('a change through a link', () => through?.changed());
  assert.equal(direct?.changed(), false);
  symlinkSync(at('two/cert'), at('new'));
  renameSync(at('new'), at('direct'));
  await eventually('a change of a link', () => direct?.changed());
  writeFileSync(at('missing'), 'here I am');
  await eventually('a file that was missing', () => missing?.changed());
});
