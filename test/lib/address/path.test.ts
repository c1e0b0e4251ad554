import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePath } from '../../../lib/address/path.ts';

const GOOD: readonly (readonly [text: string, address: string, rest: string])[] = [
  ['<a@b>', 'a@b', ''],
  ['<a@b> SIZE=1 BODY=8BITMIME', 'a@b', 'SIZE=1 BODY=8BITMIME'],
  ['  <a@b>', 'a@b', ''],
  ['a@b', 'a@b', ''],
  ['a@b SIZE=1', 'a@b', 'SIZE=1'],
  ['<"a b"@c> X', 'a b@c', 'X'],
  ['<"a>b"@c> X', 'a>b@c', 'X'],
  ['<"a\\"b"@c>', 'a"b@c', ''],
  ['<a\\ b@c>', 'a b@c', ''],
  ['<user@[10.1.2.3]>', 'user@[10.1.2.3]', ''],
  ['<user@[IPv6:2001:db8::1]>', 'user@[IPv6:2001:db8::1]', ''],
  ['<@one,@two:user@dom>', '@one,@two:user@dom', ''],
  ['Joe<a@b>', 'a@b', ''],
  ['<a@b>(comment with blanks) X', 'a@b', 'X'],
  ['<postmaster>', 'postmaster', ''],
];

for (const [text, address, rest] of GOOD) {
  test(`${text} is a path`, () => {
    const path = parsePath(text);
    assert.ok('address' in path, JSON.stringify(path));
    assert.equal(path.address, address);
    assert.equal(path.rest, rest);
  });
}

for (const text of ['', '   ', '<>', 'a@b,c@d']) {
  test(`${JSON.stringify(text)} is no path`, () => {
    assert.ok('error' in parsePath(text));
  });
}

test('the null path is a sender', () => {
  assert.deepEqual(parsePath('<> BODY=7BIT', { allowNull: true }), {
    address: '',
    external: '',
    rest: 'BODY=7BIT',
  });
});

for (const text of ['a@b', 'Joe <a@b>', '<a@b (comment)>', '<@a:b@c>']) {
  test(`${text} is no path to strict eyes`, () => {
    assert.ok('error' in parsePath(text, { strict: true }));
  });
}

test('parsePath answers whatever it is asked', () => {
  const pieces = fc.constantFrom(...'<>@".,:;()[]\\ ab\t\0é'.split(''));
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 60 }), (text) => {
      const path = parsePath(text.join(''), { allowNull: true });
      assert.ok('error' in path || typeof path.address === 'string');
    }),
    { numRuns: 2000 },
  );
});
