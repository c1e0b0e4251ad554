import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type MatchTable, parseMatchList } from '../../../lib/config/match-list.ts';
import { freshDirectory } from '../../support/directories.ts';

/** A table of the names after its colon. */
function openTable(name: string): MatchTable {
  const keys = name.slice(name.indexOf(':') + 1).split('+');
  return {
    pattern: name.startsWith('regexp:'),
    lookup: (key) => (keys.includes(key) ? 'found' : undefined),
  };
}

function list(text: string, parentDomains = false) {
  return parseMatchList(text, { name: 'test_list', openTable, parentDomains });
}

for (const { text, name, parents = false, decides } of [
  { text: 'a.test, B.test', name: 'b.TEST', decides: 'B.test' },
  { text: 'a.test', name: 'x.a.test', decides: undefined },
  { text: 'a.test', name: 'x.a.test', parents: true, decides: 'a.test' },
  { text: 'a.test', name: 'xa.test', parents: true, decides: undefined },
  { text: '.a.test', name: 'x.a.test', decides: '.a.test' },
  { text: '.a.test', name: 'a.test', decides: undefined },
  { text: '.a.test', name: 'x.a.test', parents: true, decides: undefined },
  { text: 'hash:a.test', name: 'a.test', decides: 'hash:a.test' },
  { text: 'hash:a.test', name: 'x.a.test', decides: undefined },
  { text: 'hash:.a.test', name: 'x.a.test', decides: 'hash:.a.test' },
  { text: 'hash:a.test', name: 'x.a.test', parents: true, decides: 'hash:a.test' },
  { text: 'regexp:a.test', name: 'x.a.test', parents: true, decides: undefined },
  { text: 'other.test', name: '', decides: undefined },
]) {
  test(`"${text}" and the name "${name}": ${decides ?? 'no match'}${parents ? ' (parents)' : ''}`, async () => {
    const answer = await list(text, parents).matchName(name);
    assert.deepEqual(answer, { matched: decides !== undefined, pattern: decides });
  });
}

for (const { text, address, matched, decides } of [
  { text: '127.0.0.0/8', address: '127.1.2.3', matched: true, decides: '127.0.0.0/8' },
  { text: '127.0.0.0/8', address: '128.0.0.1', matched: false, decides: undefined },
  { text: '0.0.0.0/0', address: '::1', matched: false, decides: undefined },
  { text: '192.0.2.1', address: '192.0.2.1', matched: true, decides: '192.0.2.1' },
  { text: '[::1]/128 [fe80::]/64', address: 'fe80::1', matched: true, decides: '[fe80::]/64' },
  { text: '[2001:DB8::1]', address: '2001:db8:0::1', matched: true, decides: '[2001:DB8::1]' },
  { text: '!10.0.0.1 10.0.0.0/8', address: '10.0.0.1', matched: false, decides: '!10.0.0.1' },
  { text: '!10.0.0.1 10.0.0.0/8', address: '10.0.0.2', matched: true, decides: '10.0.0.0/8' },
  { text: 'hash:192.0.2.1', address: '192.0.2.1', matched: true, decides: 'hash:192.0.2.1' },
]) {
  test(`"${text}" and the address ${address}: ${decides ?? 'no match'}`, async () => {
    assert.deepEqual(await list(text).matchAddress(address), { matched, pattern: decides });
  });
}

for (const [text, message] of [
  [
    '10.0.0.1/8',
    'test_list: non-null host address bits in "10.0.0.1/8", perhaps you should use "10.0.0.0/8" instead',
  ],
  ['127.0.0.0/40', 'test_list: bad mask length in "127.0.0.0/40"'],
  [
    '/no/such/file',
    'test_list: open file /no/such/file: No such file or directory: table lookup problem',
  ],
] as const) {
  test(`"${text}" makes the whole list a temporary error`, async () => {
    assert.throws(() => list(`${text}, 10.9.9.9`).matchAddress('10.9.9.9'), { message });
    assert.equal((await list(`10.9.9.9, ${text}`).matchAddress('10.9.9.9')).matched, true);
  });
}

for (const [text, message] of [
  ['! a.test', "test_list: no pattern after '!'"],
  ['::1/128', 'open dictionary: expecting "type:name" form instead of "::1/128" (in test_list)'],
] as const) {
  test(`"${text}" is no list`, () => {
    assert.throws(() => list(text), { message });
  });
}

test('a file stands for what is in it, and may be negated', async (t) => {
  const file = join(freshDirectory(t), 'hosts');
  writeFileSync(file, '# comment\na.test\n  b.test !c.test\n');
  assert.equal((await list(file).matchName('b.test')).matched, true);
  assert.equal((await list(file).matchName('c.test')).matched, false);
  assert.equal((await list(`!${file} d.test`).matchName('a.test')).matched, false);
  assert.equal((await list(`!${file} d.test`).matchName('d.test')).matched, true);
});
