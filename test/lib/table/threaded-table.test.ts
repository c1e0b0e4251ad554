/** Tables that may keep whoever asks them busy for years: which they are, and who asks them. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCostly } from '../../../lib/table/pattern-cost.ts';
import { openTable } from '../../../lib/table/table.ts';
import { answerInThreads } from '../../../lib/table/threaded-table.ts';
import { atEnd } from '../../support/cleanup.ts';
import { PATIENCE_MS } from '../../support/condition.ts';
import { freshDirectory } from '../../support/directories.ts';

const COSTLY = [
  '(a)\\1',
  '\\(a\\)\\1',
  '^(.*)@.*\\\\\\1$',
  '((a{1,20}){1,20}){1,5}',
  '(a{0,50}){0,50}b',
  'a{1000}',
  '(a{40}){15,}',
];
const CHEAP = [
  '^(.*)@example\\.com$',
  '[\\1](a)',
  'a\\\\1(a)',
  '(((a*)*)*)*b',
  '^[0-9]{1,3}(\\.[0-9]{1,3}){3}$',
  '[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{12}',
  '\\{5000\\}',
  '[]{900}]',
  '[[:alpha:]{900}]',
  '[^]{900}]x{2,}',
];

for (const [patterns, expected] of [
  [COSTLY, true],
  [CHEAP, false],
] as const) {
  for (const pattern of patterns) {
    test(`${pattern} may take long: ${expected}`, () => {
      assert.equal(isCostly(pattern), expected);
    });
  }
}

const LIMITS = { limitMs: PATIENCE_MS, lost: () => {} };

test('only a table that may stall is asked in a thread, and it answers the same there', async (t) => {
  const directory = freshDirectory(t);
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return `regexp:${join(directory, name)}`;
  };
  const apart: string[] = [];
  const open = (name: string, substitution = true) => {
    const table = openTable(name, {
      substitution,
      apart: (table, context) => {
        apart.push(table.name);
        return answerInThreads(table, context, LIMITS);
      },
    });
    atEnd(t, () => table.close());
    return table;
  };
  const cheap = open(file('cheap', '/^(a+)+$/ yes $1\n'));
  assert.equal(cheap.lookup('aa'), 'yes aa');
  const costly = file('costly', '/^(a+)b\\1$/ twice $1\n/^x/ other\n');
  const table = open(costly);
  assert.ok(table.lookup('aabaa') instanceof Promise);
  assert.equal(await table.lookup('aabaa'), 'twice aa');
  assert.equal(await table.lookup('xa'), 'other');
  assert.equal(await table.lookup('b'), undefined);
  assert.equal(await open(costly, false).lookup('aabaa'), undefined);
  const union = `unionmap:{static:s, ${costly}}`;
  assert.equal(await open(union).lookup('xa'), 's,other');
  assert.deepEqual(apart, [costly, costly, union]);
});

test('a query that goes through all of a large database is asked in a thread', (t) => {
  const directory = freshDirectory(t);
  const make = (name: string, rows: number, query: string) => {
    const database = join(directory, `${name}.db`);
    const script = `
      const database = new (require('better-sqlite3'))(process.argv[1]);
      database.exec('CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)');
      const put = database.prepare('INSERT INTO t VALUES (?, ?)');
      database.transaction(() => { for (let i = 0; i < ${rows}; i += 1) put.run('k' + i, 'v'.repeat(1000)); })();`;
    spawnSync(process.execPath, ['-e', script, database]);
    const file = join(directory, `${name}.cf`);
    writeFileSync(file, `dbpath = ${database}\nquery = ${query}\n`);
    const table = openTable(`sqlite:${file}`, {});
    atEnd(t, () => table.close());
    return table;
  };
  const like = "SELECT v FROM t WHERE v LIKE '%s'";
  assert.equal(make('small', 1, like).mayStallForLong, false);
  assert.equal(make('large', 6000, like).mayStallForLong, true);
  assert.equal(make('keyed', 6000, "SELECT v FROM t WHERE k = '%s'").mayStallForLong, false);
  const endless =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i = '%s'";
  assert.equal(make('endless', 1, endless).mayStallForLong, true);
});
