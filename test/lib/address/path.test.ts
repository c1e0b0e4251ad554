import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePath } from '../../../lib/address/path.ts';

const GOOD: readonly (readonly [text: string, address: string])[] = [
  ['<a@b>', 'a@b'],
  ['a@b', 'a@b'],
  ['<"a b"@c>', 'a b@c'],
  ['<"a>b"@c>', 'a>b@c'],
  ['<"a\\"b"@c>', 'a"b@c'],
  ['<a\\ b@c>', 'a b@c'],
  ['<user@[10.1.2.3]>', 'user@[10.1.2.3]'],
  ['<user@[IPv6:2001:db8::1]>', 'user@[IPv6:2001:db8::1]'],
  ['<@one,@two:user@dom>', 'user@dom'],
  ['<a@b@c>', 'a@b@c'],
  ['Joe<a@b>', 'a@b'],
  ['<<a@b>>', 'a@b'],
  ['<a@b>(comment with blanks)', 'a@b'],
  ['< a @ b >', 'a@b'],
  ['<postmaster>', 'postmaster'],
];

for (const [text, address] of GOOD) {
  test(`${text} is a path`, () => {
    assert.equal(parsePath(text)?.address, address);
  });
}

for (const text of ['', '   ', '<>', 'a@b,c@d', '<a b@c>', '<a@b>c', '<a;b@c>', '<"a" "b"@c>']) {
  test(`${JSON.stringify(text)} is no path`, () => {
    assert.equal(parsePath(text), undefined);
  });
}

test('the null path is a sender', () => {
  assert.deepEqual(parsePath('<>', { allowNull: true }), { address: '', external: '' });
});

for (const text of ['a@b', 'Joe <a@b>', '<a@b (comment)>', '<a@b>(comment)']) {
  test(`${text} is no path to strict eyes`, () => {
    assert.equal(parsePath(text, { strict: true }), undefined);
  });
}

test('parsePath answers whatever it is asked', () => {
  const pieces = fc.constantFrom(...'<>@".,:;()[]\\ ab\t\0é'.split(''));
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 60 }), (text) => {
      const path = parsePath(text.join(''), { allowNull: true });
      assert.ok(path === undefined || typeof path.address === 'string');
    }),
    { numRuns: 2000 },
  );
});
