import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { rebuildAliases } from '../../../lib/table/aliases-file.ts';
import { openTable, openTableOrThrow, TableError } from '../../../lib/table/table.ts';
import { type BuildOptions, buildTable, removeKeys } from '../../../lib/table/table-build.ts';
import { freshDirectory } from '../../support/directories.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { Notes, UTF8 } from './support.ts';

/** Builds `hash:` from a source in a fresh directory. */
function built(t: TestContext, source: string, options: BuildOptions = {}) {
  const path = join(freshDirectory(t), 'table');
  writeFileSync(path, source);
  const notes = new Notes();
  const context = { configuration: UTF8, log: notes, ...options };
  buildTable(`hash:${path}`, context);
  return { path, name: `hash:${path}`, notes, context };
}

function lookup(name: string, key: string) {
  const table = openTableOrThrow(name, { configuration: UTF8 });
  try {
    return table.lookup(key);
  } finally {
    table.close();
  }
}

const SUFFIXES = [
  ['hash', '.db'],
  ['btree', '.db'],
  ['lmdb', '.lmdb'],
  ['cdb', '.cdb'],
  ['dbm', '.pag'],
  ['sdbm', '.pag'],
] as const;

for (const [type, suffix] of SUFFIXES) {
  test(`${type} lives in a file that ends in ${suffix}, and in no other`, (t) => {
    const { path } = built(t, 'a b\n');
    const before = readdirSync(dirname(path));
    buildTable(`${type}:${path}`, {});
    assert.ok(existsSync(path + suffix));
    assert.equal(lookup(`${type}:${path}`, 'A'), 'b');
    const expected = new Set([...before, `table${suffix}`]);
    assert.deepEqual(new Set(readdirSync(dirname(path))), expected, 'no journal beside it');
  });
}

test('keys are folded on both sides, unless told otherwise', (t) => {
  const { path, name } = built(t, 'KÉY v\n');
  assert.equal(lookup(name, 'kéy'), 'v');
  assert.equal(lookup(name, 'KÉY'), 'v');
  buildTable(name, { fold: false });
  const exact = openTableOrThrow(`hash:${path}`, { fold: false });
  assert.equal(exact.lookup('kéy'), undefined);
  assert.equal(exact.lookup('KÉY'), 'v');
  exact.close();
});

test('of two entries with one key the first stays, or the last, loudly or silently', (t) => {
  const { name, path, notes } = built(t, 'a 1\na 2\n');
  assert.equal(lookup(name, 'a'), '1');
  assert.deepEqual(notes.lines, [`${path}.db: duplicate entry: "a"`]);
  buildTable(name, { log: notes, duplicateKeys: 'ignore' });
  assert.equal(lookup(name, 'a'), '1');
  buildTable(name, { log: notes, duplicateKeys: 'replace' });
  assert.equal(lookup(name, 'a'), '2');
  assert.equal(notes.lines.length, 1);
});

test('a reader keeps the table it opened, and sees that there is a new one', (t) => {
  const { name, path } = built(t, 'a 1\n');
  const reader = openTableOrThrow(name, {});
  writeFileSync(path, 'a 2\n');
  assert.equal(reader.changed(), false, 'the source is not the table');
  buildTable(name, {});
  assert.equal(reader.lookup('a'), '1');
  assert.equal(reader.changed(), true);
  assert.equal(lookup(name, 'a'), '2');
  reader.close();
});

test('entries are added and removed without the source', (t) => {
  const { name, context } = built(t, 'a 1\nb 2\n');
  buildTable(name, { ...context, incremental: true }, Buffer.from('c 3\na 4\n'));
  assert.equal(lookup(name, 'a'), '1');
  assert.equal(lookup(name, 'c'), '3');
  assert.deepEqual(removeKeys(name, ['A', 'none', 'c'], context), ['A', 'c']);
  assert.equal(lookup(name, 'a'), undefined);
  assert.equal(lookup(name, 'b'), '2');
});

test('the mode is that of the source; a table that is there keeps its own', (t) => {
  const { path, name } = built(t, 'a b\n');
  chmodSync(path, 0o640);
  buildTable(`lmdb:${path}`, {});
  assert.equal(statSync(`${path}.lmdb`).mode & 0o777, 0o640);
  buildTable(`cdb:${path}`, { copyMode: false });
  assert.equal(statSync(`${path}.cdb`).mode & 0o777, 0o644);
  chmodSync(`${path}.db`, 0o604);
  buildTable(name, {});
  assert.equal(statSync(`${path}.db`).mode & 0o777, 0o604);
});

test('a build that fails leaves the old table, and nothing else', (t) => {
  const { name, path } = built(t, 'a /no/such/file\n');
  const before = readdirSync(dirname(path));
  const parse = () => {
    throw new TableError('no more');
  };
  assert.throws(() => buildTable(name, { parse }), TableError);
  assert.deepEqual(readdirSync(dirname(path)), before);
  assert.equal(lookup(name, 'a'), '/no/such/file');
});

test('tables of others are recognised, and the message says what to do', (t) => {
  const path = join(freshDirectory(t), 'x');
  const berkeley = Buffer.alloc(64);
  berkeley.writeUInt32LE(0x61561, 12);
  const lmdb = Buffer.alloc(64);
  lmdb.writeUInt32LE(0xbeefc0de, 16);
  const cases = [
    ['hash', '.db', berkeley, 'a Berkeley DB hash'],
    ['lmdb', '.lmdb', lmdb, 'an LMDB database'],
    ['cdb', '.cdb', Buffer.from('nonsense'), 'of an unknown format'],
    ['btree', '.db', Buffer.alloc(0), 'an empty file'],
  ] as const;
  for (const [type, suffix, bytes, what] of cases) {
    writeFileSync(path + suffix, bytes);
    const name = `${type}:${path}`;
    const message = `open database ${path}${suffix}: it is ${what}, not a table of ours; run: postmap ${name}`;
    assert.throws(() => openTableOrThrow(name, {}), { message });
  }
  writeFileSync(`${path}.db`, berkeley);
  const text = (name: string) => (name === 'alias_database' ? `hash:${path}` : '');
  assert.throws(() => openTableOrThrow(`hash:${path}`, { configuration: { text } }), /newaliases$/);
});

test("Postfix's own postmap is such another", { skip: whyNoPostfix() }, (t) => {
  const path = join(freshDirectory(t), 'x');
  writeFileSync(path, 'a b\n');
  const env = { ...process.env, MAIL_CONFIG: '/etc/postfix' };
  assert.equal(spawnSync('/usr/sbin/postmap', [`hash:${path}`], { env }).status, 0);
  assert.throws(() => openTableOrThrow(`hash:${path}`, {}), /a Berkeley DB hash/);
  buildTable(`hash:${path}`, {});
  assert.equal(lookup(`hash:${path}`, 'a'), 'b');
});

test('a damaged table is temporary trouble', (t) => {
  const lines = Array.from({ length: 5000 }, (_, at) => `key${at} ${'value'.repeat(10)}\n`);
  const { name, path } = built(t, lines.join(''));
  const { size } = statSync(`${path}.db`);
  const bytes = Buffer.alloc(size, 0x55);
  writeFileSync(`${path}.db`, bytes.subarray(4096), { flag: 'r+' });
  assert.throws(() => openTableOrThrow(name, {}), TableError);
});

test('a database that is older than its source says so, when the source is not brand-new', (t) => {
  const { name, path } = built(t, 'a b\n');
  const notes = new Notes();
  const hourAgo = statSync(path).mtimeMs / 1000 - 3600;
  utimesSync(`${path}.db`, hourAgo - 3600, hourAgo - 3600);
  utimesSync(path, hourAgo, hourAgo);
  openTable(name, { log: notes }).close();
  assert.deepEqual(notes.lines, [`database ${path}.db is older than source file ${path}`]);
});

test('newaliases rebuilds every table of alias_database', (t) => {
  const directory = freshDirectory(t);
  writeFileSync(join(directory, 'a'), 'root: ann\n');
  writeFileSync(join(directory, 'b'), 'list: :include:/x, bob\n');
  const values: Readonly<Record<string, string>> = {
    alias_database: `hash:${directory}/a, ${directory}/b`,
    default_database_type: 'btree',
    myhostname: 'mail.example.com',
  };
  const notes = new Notes();
  rebuildAliases({ text: (name) => values[name] ?? '' }, notes);
  assert.equal(lookup(`hash:${directory}/a`, 'Root'), 'ann');
  assert.equal(lookup(`btree:${directory}/b`, 'list'), ':include:/x, bob');
  assert.equal(lookup(`hash:${directory}/a`, '@'), '@');
  assert.deepEqual(notes.lines, []);
});
