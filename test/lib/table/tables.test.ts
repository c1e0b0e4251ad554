/** Every table type that needs no file of postmap's, beside Postfix's own answers where installed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FatalError } from '../../../lib/log/fatal.ts';
import {
  openTable,
  openTableOrThrow,
  openTables,
  TableError,
  TableOpenError,
} from '../../../lib/table/table.ts';
import { freshDirectory } from '../../support/directories.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { writeSettled } from '../../support/settled-file.ts';
import { Notes, openFrom, UTF8 } from './support.ts';

const FOUND: readonly [name: string, key: string, answer: string | undefined][] = [
  ['static:text', 'any', 'text'],
  ['static:{ text with blanks }', 'any', 'text with blanks'],
  ['static:two words', 'any', 'two words'],
  ['inline:{a=b, { c = d e }}', 'C', 'd e'],
  ['inline:{a=b, { c = d e }}', 'a', 'b'],
  ['inline:{a=1, A=2}', 'a', '2'],
  ['inline:{a=b c=d}', 'c', 'd'],
  ['inline:{a=b}', 'b', undefined],
  ['internal:x', 'a', undefined],
  ['environ:x', 'posthaste_test', 'here'],
  ['environ:x', 'POSTHASTE_TEST', 'here'],
  ['unix:passwd.byname', 'root', 'root:x:0:0:root:/root:/bin/bash'],
  ['unix:passwd.byname', 'no-such-user', undefined],
  ['unix:group.byname', 'root', 'root:x:0:'],
  ['pipemap:{static:a, inline:{a=b}}', 'x', 'b'],
  ['pipemap:{inline:{a=b}, inline:{{b=c d}}}', 'a', 'c d'],
  ['pipemap:{inline:{a=b}, inline:{c=d}}', 'a', undefined],
  ['unionmap:{static:a,static:{b c}}', 'x', 'a,b c'],
  ['unionmap:{internal:a, static:b}', 'x', 'b'],
  ['unionmap:{internal:a}', 'x', undefined],
  ['randmap:{a}', 'x', 'a'],
  ['nis:mail.aliases', 'x', undefined],
  ['regexp:{{/a/ b}, {/c/ d}}', 'c', 'd'],
  ['cidr:{{192.0.2.0/24 a}, {198.51.100.1 b}}', '198.51.100.1', 'b'],
];

process.env['posthaste_test'] = 'here';

function postmap(t: Parameters<typeof freshDirectory>[0], name: string, key: string) {
  const directory = freshDirectory(t);
  writeSettled(join(directory, 'main.cf'), 'compatibility_level = 3.6\n');
  const env = { ...process.env, MAIL_CONFIG: directory };
  const ran = spawnSync('/usr/sbin/postmap', ['-q', key, name], { env, encoding: 'utf8' });
  return { answer: ran.status === 0 ? ran.stdout.trimEnd() : undefined, errors: ran.stderr };
}

for (const [name, key, answer] of FOUND) {
  test(`${name} answers ${key}`, async (t) => {
    const table = openTableOrThrow(name, { configuration: UTF8 });
    assert.equal(await table.lookup(key), answer);
    if (whyNoPostfix() === false && !name.startsWith('unix')) {
      assert.equal(postmap(t, name, key).answer, answer, 'Postfix answers the same');
    }
  });
}

const REFUSED: readonly [name: string, message: string][] = [
  ['static:{hello', `bad static:name syntax: missing '}' in "{hello"`],
  ['inline:{x}', `missing '=' after attribute name: "inline:{x}"; need "inline:{name=value...}"`],
  ['inline:a=b', 'bad syntax: "inline:a=b"; need "inline:{name=value...}"'],
  ['inline:{}', 'bad syntax: "inline:{}"; need "inline:{name=value...}"'],
  ['unix:foo', 'unknown table: unix:foo'],
  ['unionmap:foo', 'bad syntax: "unionmap:foo"; need "unionmap:{type:name...}"'],
  ['unionmap:{bogus}', 'bad syntax: "unionmap:{bogus}"; need "unionmap:{type:name...}"'],
  ['pipemap:{}', 'bad syntax: "pipemap:{}"; need "pipemap:{type:name...}"'],
  ['randmap:x', 'bad syntax: "randmap:x"; need "randmap:{value...}"'],
  ['bogus:x', 'unsupported dictionary type: bogus'],
  ['hash:/no/such', 'open database /no/such.db: No such file or directory'],
  ['texthash:/no/such', 'open database /no/such: No such file or directory'],
  ['regexp:/no/such', 'open /no/such: No such file or directory'],
  ['cidr:/no/such', 'open /no/such: No such file or directory'],
  ['texthash:/', 'read /: Is a directory'],
  ['regexp:{/a/ b}', `regexp map: no '{' at start of text in "/a/"`],
  ['unionmap:{static:a, hash:/no/such}', 'open database /no/such.db: No such file or directory'],
];

for (const [name, message] of REFUSED) {
  test(`${name} cannot be opened`, (t) => {
    assert.throws(() => openTableOrThrow(name, {}), { name: 'TableError', message });
    if (whyNoPostfix() === false)
      assert.equal(postmap(t, name, 'x').errors, `postmap: fatal: ${message}\n`);
  });
}

for (const name of ['/etc/aliases', 'environ:', 'static:', ':x']) {
  test(`${name} is no table name`, () => {
    const message = `open dictionary: expecting "type:name" form instead of "${name}"`;
    assert.throws(() => openTable(name, {}), { message });
    assert.throws(() => openTable(name, {}), FatalError);
  });
}

for (const type of ['ldap', 'mysql', 'pgsql', 'memcache', 'nisplus']) {
  test(`${type} is refused by name`, () => {
    const message = `unsupported dictionary type: ${type} (not built into Posthaste)`;
    assert.throws(() => openTableOrThrow(`${type}:x`, {}), { message });
  });
}

test('a device is no table: a daemon would wait for it for ever', () => {
  assert.throws(() => openTableOrThrow('texthash:/dev/tty0', {}), TableOpenError);
  assert.throws(() => openTableOrThrow('texthash:/dev/null', {}), /not a regular file/);
});

test('a daemon goes on without a table, and each lookup says why', () => {
  const notes = new Notes();
  const tables = openTables('hash:/no/such', { log: notes, parameter: 'transport_maps' });
  assert.throws(() => tables.lookup('a'), TableError);
  assert.deepEqual(notes.lines, [
    'error: open database /no/such.db: No such file or directory',
    'hash:/no/such is unavailable. open database /no/such.db: No such file or directory',
    'hash:/no/such lookup error for "a"',
  ]);
});

test('fail: is temporary trouble, alone and inside others', () => {
  for (const name of ['fail:x', 'unionmap:{static:a,fail:x}', 'pipemap:{static:a,fail:x}']) {
    const table = openTableOrThrow(name, {});
    assert.throws(() => table.lookup('a'), TableError);
  }
});

test('a list gives the first answer, and where it came from', async () => {
  const text = 'inline:{a=1}, inline:{{a=2}, b=3},regexp:{{/./ any}}';
  const tables = openTables(text, { parameter: 'transport_maps' });
  const a = { value: '1', table: 'inline:{a=1}', key: 'a' };
  assert.deepEqual(await tables.lookup('a'), a);
  assert.equal((await tables.lookup('b'))?.value, '3');
  assert.equal((await tables.lookup('c'))?.value, 'any');
  assert.equal(await tables.lookup('c', true), undefined, 'patterns do not see parts of addresses');
  assert.equal(await tables.lookup(''), undefined);
});

test('an empty answer is a mistake in the table, not an answer', () => {
  const notes = new Notes();
  const tables = openTables('inline:{a=}', { log: notes, parameter: 'virtual_alias_maps' });
  assert.throws(() => tables.lookup('a'), TableError);
  assert.deepEqual(notes.lines, [
    'virtual_alias_maps lookup of a returns an empty string result',
    'virtual_alias_maps should return NO RESULT in case of NOT FOUND',
  ]);
});

test('texthash reads the source of postmap', (t) => {
  const { table, notes, path } = openFrom(t, 'texthash', 'Key  value  text \nbad\n"a b" c\n');
  assert.equal(table.lookup('KEY'), 'value  text');
  assert.equal(table.lookup('"a b"'), 'c');
  assert.deepEqual(notes.lines, [
    `${path}, line 2: expected format: key whitespace value -- ignoring this line`,
  ]);
});

test('two entries with one key: a command shows the first, a daemon does not guess', (t) => {
  const source = 'a 1\nA 2\n';
  const { table, path, notes } = openFrom(t, 'texthash', source, { duplicates: true });
  assert.equal(table.lookup('a'), '1');
  assert.deepEqual(notes.lines, [`${path}, line 2: duplicate entry: "a"`]);
  const message = `${path}, line 2: duplicate entry: "a"`;
  assert.throws(() => openTableOrThrow(`texthash:${path}`, {}), { message });
});

test('a table whose file is written to has changed', (t) => {
  const { table, path } = openFrom(t, 'texthash', 'a b\n');
  assert.equal(table.changed(), false);
  writeFileSync(path, 'a c\n');
  assert.equal(table.changed(), true);
});
