/** sqlite tables. The expected answers are those of Debian's postfix-sqlite 3.7.11. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { openTableOrThrow, TableError } from '../../../lib/table/table.ts';
import { atEnd } from '../../support/cleanup.ts';
import { freshDirectory } from '../../support/directories.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { writeSettled } from '../../support/settled-file.ts';
import { Notes, UTF8 } from './support.ts';

const ROWS: readonly (readonly [string, string | number | bigint | null])[] = [
  ['a', '1'],
  ['multi', '1'],
  ['multi', '3'],
  ['empty', ''],
  ['null', null],
  ['u@x.example', 'who@there.dom'],
  ["q'q", 'quoted'],
  ['whole', 5n],
  ['real', 2.5],
  ['é', 'ü'],
  ['some', 'b1'],
  ['some', ''],
  ['some', 'b2'],
];

function database(directory: string, rows = ROWS): string {
  const path = join(directory, 'db');
  const file = new Database(path);
  file.exec('CREATE TABLE t (k, v)');
  for (const row of rows) file.prepare('INSERT INTO t VALUES (?, ?)').run(...row);
  file.close();
  return path;
}

function configure(directory: string, settings: string): string {
  const path = join(directory, 'table.cf');
  writeFileSync(path, `dbpath = ${join(directory, 'db')}\n${settings}`);
  return path;
}

function open(t: TestContext, settings: string) {
  const directory = freshDirectory(t);
  const db = database(directory);
  const path = configure(directory, settings);
  const notes = new Notes();
  const table = openTableOrThrow(`sqlite:${path}`, { configuration: UTF8, log: notes });
  atEnd(t, () => table.close());
  return { table, path, db, notes };
}

const PLAIN = "query = SELECT v FROM t WHERE k='%s'\n";
const ECHO = "query = SELECT '%s'\n";

const ANSWERS: readonly (readonly [settings: string, key: string, answer: string | undefined])[] = [
  [PLAIN, 'a', '1'],
  [PLAIN, 'A', '1'],
  [PLAIN, 'multi', '1,3'],
  [PLAIN, 'empty', undefined],
  [PLAIN, 'null', undefined],
  [PLAIN, "q'q", 'quoted'],
  [PLAIN, 'whole', '5'],
  [PLAIN, 'real', '2.5'],
  [PLAIN, 'é', 'ü'],
  [PLAIN, 'some', 'b1,b2'],
  [PLAIN, 'none', undefined],
  [PLAIN, '', undefined],
  [PLAIN, "' OR '1'='1", undefined],
  [`${PLAIN}result_format = <%s|%u|%d|%S>\n`, 'a', undefined],
  [
    `${PLAIN}result_format = <%s|%u|%d|%S>\n`,
    'u@x.example',
    '<who@there.dom|who|there.dom|u@x.example>',
  ],
  ["query = SELECT v FROM t WHERE k='%u@%d'\n", 'u@x.example', 'who@there.dom'],
  ["query = SELECT v FROM t WHERE k='%u@%d'\n", 'a', undefined],
  ["query = SELECT '%2.%1'\n", 'a@b.c', 'b.c'],
  ["query = SELECT '%2.%1'\n", 'a@x.b.c', 'b.c'],
  ["query = SELECT '%2.%1'\n", 'a@c', undefined],
  ["query = SELECT '%2.%1'\n", 'a@.c', undefined],
  ["query = SELECT '%2.%1'\n", 'a', undefined],
  ["query = SELECT '%s' || 'z'\nresult_format = %1-%U-%D\n", 'u@x.example', 'example-u-x.example'],
  ["query = SELECT '%s' || 'z'\nresult_format = %1-%U-%D\n", 'u', undefined],
  ["query = SELECT '%u %d %S %U %D'\n", "a'b@c'd.e", "a'b c'd.e a'b@c'd.e a'b c'd.e"],
  ["query = SELECT '%u %d %S %U %D'\n", 'a@b@c', 'a@b c a@b@c a@b c'],
  ["query = SELECT '%u %d'\n", '@c.d', undefined],
  ["query = SELECT '%u %d'\n", 'a@', undefined],
  [`${ECHO}domain = x.example\n`, 'U@X.example', 'u@x.example'],
  [`${ECHO}domain = x.example\n`, 'u@y', undefined],
  [`${ECHO}domain = x.example\n`, 'u', undefined],
  [`${ECHO}domain = inline:{x.example=1}\n`, 'u@x.example', 'u@x.example'],
  [`${PLAIN}expansion_limit = 1\n`, 'a', '1'],
  [`${PLAIN}expansion_limit = 2\n`, 'multi', '1,3'],
  ["query = SELECT '%%'\nresult_format = %%%s\n", 'a', '%%'],
  ['table = t\nselect_field = v\nwhere_field = k\nadditional_conditions = AND 1=1\n', 'a', '1'],
  ["query = SELECT 'const'\nunknown = ignored\n", 'a', 'const'],
  ["query = SELECT v\n FROM t\n# comment\n WHERE k='%s'\n", 'a', '1'],
];

/** Whether Postfix's own sqlite tables are installed: postfix-sqlite. */
function haveOracle(): boolean {
  if (whyNoPostfix() !== false) return false;
  return spawnSync('/usr/sbin/postconf', ['-m'], { encoding: 'utf8' }).stdout.includes('sqlite');
}

function postmap(t: TestContext, table: string, key: string): string | undefined {
  const directory = freshDirectory(t);
  writeSettled(join(directory, 'main.cf'), 'compatibility_level = 3.6\n');
  const env = { ...process.env, MAIL_CONFIG: directory };
  const ran = spawnSync('/usr/sbin/postmap', ['-q', key, table], { env, encoding: 'utf8' });
  return ran.status === 0 ? ran.stdout.slice(0, -1) : undefined;
}

for (const [settings, key, answer] of ANSWERS) {
  test(`${JSON.stringify(settings)} answers ${key || 'an empty key'}`, async (t) => {
    const { table, path } = open(t, settings);
    assert.equal(await table.lookup(key), answer);
    if (haveOracle()) assert.equal(postmap(t, `sqlite:${path}`, key), answer);
  });
}

const REFUSED: readonly (readonly [settings: string, message: string])[] = [
  ["query = SELECT '%x'\n", "db_common_parse: FILE: Invalid query template: SELECT '%x'"],
  [`${ECHO}result_format = %y\n`, 'db_common_parse: FILE: Invalid result template: %y'],
  [`${ECHO}result_format = 5%\n`, 'db_common_parse: FILE: Invalid result template: 5%'],
  ['', 'FILE: bad string length 0 < 1: table = '],
  ['query =\n', 'FILE: bad string length 0 < 1: table = '],
  ['dbpath =\n', 'FILE: bad string length 0 < 1: dbpath = '],
  [`${PLAIN}expansion_limit = x\n`, 'FILE: bad numerical configuration: expansion_limit = x'],
  ['query SELECT 1\n', `FILE, line 2: missing '=' after attribute name: "query SELECT 1"`],
  [`${ECHO}domain = hash:/no/such\n`, 'open database /no/such.db: No such file or directory'],
  [
    `${ECHO}dbpath = /no/such/db\n`,
    "sqlite:FILE: Can't open database: Cannot open database because the directory does not exist (/no/such/db); see dbpath in FILE",
  ],
];

for (const [settings, message] of REFUSED) {
  test(`a table is refused: ${message}`, (t) => {
    const directory = freshDirectory(t);
    database(directory);
    const path = configure(directory, settings);
    assert.throws(() => openTableOrThrow(`sqlite:${path}`, {}), {
      name: 'TableError',
      message: message.replaceAll('FILE', path),
    });
  });
}

test('a configuration that is not there', () => {
  assert.throws(() => openTableOrThrow('sqlite:/no/such.cf', {}), {
    message: 'open /no/such.cf: No such file or directory',
  });
});

test('the parameters may stand in main.cf', (t) => {
  const db = database(freshDirectory(t));
  const main: Record<string, string> = {
    old_dbpath: db,
    old_query: "SELECT v FROM t WHERE k='%s'",
  };
  const configuration = { text: (name: string) => main[name] ?? '' };
  const table = openTableOrThrow('sqlite:old', { configuration });
  atEnd(t, () => table.close());
  assert.equal(table.lookup('a'), '1');
  assert.throws(() => openTableOrThrow('sqlite:pre', { configuration }), {
    message: 'bad string length 0 < 1: pre_dbpath = ',
  });
});

const TROUBLE: readonly (readonly [settings: string, reason: string])[] = [
  ['query = SELEC v FROM t\n', 'near "SELEC": syntax error'],
  ['query = SELECT v FROM nosuch\n', 'no such table: nosuch'],
  ["query = DELETE FROM t WHERE k='%s'\n", 'only for statements that return data'],
  ["query = SELECT 1; SELECT '%s'\n", 'more than one statement'],
];

for (const [settings, reason] of TROUBLE) {
  test(`a query fails: ${reason}`, (t) => {
    const { table, path } = open(t, settings);
    assert.throws(
      () => table.lookup('a'),
      (error: unknown) => {
        assert.ok(error instanceof TableError);
        assert.ok(error.message.includes(reason), error.message);
        assert.ok(error.message.endsWith(`; mend the query in ${path}`), error.message);
        return true;
      },
    );
  });
}

test('too many results are an error, not a part of them', (t) => {
  const { table, path, notes } = open(t, `${PLAIN}expansion_limit = 1\n`);
  assert.throws(() => table.lookup('multi'), TableError);
  assert.deepEqual(notes.lines, [
    `dict_sqlite_lookup: ${path}: Expansion limit exceeded for key 'multi'`,
  ]);
});

test('empty results are warned about', (t) => {
  const { table, path, notes } = open(t, PLAIN);
  assert.equal(table.lookup('empty'), undefined);
  assert.deepEqual(notes.lines, [
    `table "sqlite:${path}": empty lookup result for: "empty" -- ignored`,
  ]);
});

test('a file that is no database', (t) => {
  const { path, db } = open(t, PLAIN);
  writeFileSync(db, 'no database at all'.repeat(100));
  const table = openTableOrThrow(`sqlite:${path}`, {});
  atEnd(t, () => table.close());
  assert.throws(() => table.lookup('a'), /file is not a database/);
});

test('a writer is waited for, and nobody else waits', async (t) => {
  const { table, db } = open(t, PLAIN);
  const writer = new Database(db);
  writer.exec('BEGIN EXCLUSIVE');
  writer.prepare("UPDATE t SET v = 'new' WHERE k = 'a'").run();
  const answer = table.lookup('a');
  assert.ok(answer instanceof Promise);
  writer.exec('COMMIT');
  writer.close();
  assert.equal(await answer, 'new');
});

test('another database, or another configuration, is a changed table', (t) => {
  const { table, path, db } = open(t, PLAIN);
  assert.equal(table.changed(), false);
  const other = freshDirectory(t);
  renameSync(database(other, [['a', '2']]), db);
  assert.equal(table.changed(), true);
  const next = openTableOrThrow(`sqlite:${path}`, {});
  atEnd(t, () => next.close());
  assert.equal(next.lookup('a'), '2');
  writeFileSync(path, 'dbpath = /x\n');
  assert.equal(next.changed(), true);
});
