import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Table, TableError } from '../../../lib/table/table.ts';
import { decideAlias } from '../../../services/local/alias-lookup.ts';
import type { AliasTable } from '../../../services/local/alias-table.ts';
import { type Branch, firstBranch } from '../../../services/local/branch.ts';

function tableOf(entries: Readonly<Record<string, string>>, pattern = false): AliasTable {
  const table: Table = {
    name: pattern ? 'regexp:patterns' : 'inline:aliases',
    pattern,
    lookup: (key) => (Object.hasOwn(entries, key) ? entries[key] : undefined),
    changed: () => false,
    close() {},
  };
  return { table, owner: 0 };
}

function branchOf(address: string, more: Partial<Branch> = {}): Branch {
  const recipient = { original: '', address, offset: 1, dsnOriginal: '', notify: 0 };
  const splitting = { recipient_delimiter: '+', owner_request_special: true };
  return { ...firstBranch(recipient, '', splitting), ...more };
}

const ALIASES = tableOf({ bob: 'ann', 'bob+x': 'cat', loop: 'loop' });

for (const [address, more, propagates, decision] of [
  ['Bob@example.com', {}, false, ['bob', 'ann', undefined]],
  ['bob+x@example.com', {}, true, ['bob+x', 'cat', undefined]],
  ['bob+y@example.com', {}, false, ['bob', 'ann', undefined]],
  ['bob+y@example.com', {}, true, ['bob', 'ann', 'y']],
  ['nobody@example.com', {}, false, undefined],
  ['loop@example.com', { expandedFrom: 'loop' }, false, undefined],
] as const) {
  test(`${address} ${JSON.stringify(more)}: ${decision ?? 'no alias'}`, async () => {
    const found = await decideAlias([ALIASES], branchOf(address, more), propagates);
    if (decision === undefined) assert.deepEqual(found, { kind: 'none' });
    else {
      assert.ok(found.kind === 'expand');
      const { alias, unmatched } = found;
      assert.deepEqual([alias.name, alias.value, unmatched?.extension], decision);
      assert.equal(alias.table.name, 'inline:aliases');
    }
  });
}

test('patterns are asked for the whole local part only', async () => {
  const patterns = tableOf({ bob: 'ann' }, true);
  assert.equal((await decideAlias([patterns], branchOf('bob@x'), false)).kind, 'expand');
  assert.equal((await decideAlias([patterns], branchOf('bob+y@x'), false)).kind, 'none');
});

test('a chain of a hundred aliases is a loop', async () => {
  const deep = branchOf('bob@x', { level: 101 });
  assert.deepEqual(await decideAlias([ALIASES], deep, false), { kind: 'loop', name: 'bob' });
});

test('a table in trouble is no answer', async () => {
  const broken = tableOf({});
  const lookup = () => {
    throw new TableError('broken');
  };
  const tables = [{ ...broken, table: { ...broken.table, lookup } }];
  await assert.rejects(decideAlias(tables, branchOf('bob@x'), false), TableError);
});
