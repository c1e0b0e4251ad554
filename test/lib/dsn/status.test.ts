import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isStatus, splitStatus } from '../../../lib/dsn/status.ts';
import { wrapLine } from '../../../lib/dsn/wrap.ts';
import { decodeXtext, encodeXtext } from '../../../lib/dsn/xtext.ts';

test('a status is three numbers, of class 2, 4 or 5', () => {
  for (const text of ['2.0.0', '4.999.1', '5.1.1']) assert.ok(isStatus(text), text);
  for (const text of ['', '3.0.0', '5.1', '5.1.1.1', '5.1.1 x', '5.1234.0', '5..1']) {
    assert.ok(!isStatus(text), text);
  }
});

for (const [text, status, rest] of [
  ['5.7.1 go away', '5.7.1', 'go away'],
  ['  5.7.1   go away', '5.7.1', 'go away'],
  ['5.7.1', '5.7.1', ''],
  ['go away 5.7.1', '5.0.0', 'go away 5.7.1'],
  ['5.7.1x', '5.0.0', '5.7.1x'],
  ['4.7.1 of another class', '5.0.0', 'of another class'],
  ['', '5.0.0', ''],
] as const) {
  test(`splitStatus(${JSON.stringify(text)}) is ${status}`, () => {
    assert.deepEqual(splitStatus(text, '5.0.0'), { status, text: rest });
  });
}

test('xtext gives back what went in', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const encoded = encodeXtext(text);
      assert.match(encoded, /^[!-<>-~]*$/);
      assert.equal(decodeXtext(encoded), text);
    }),
  );
  assert.equal(encodeXtext('a+b=c d'), 'a+2Bb+3Dc+20d');
  assert.equal(decodeXtext('a+2bb'), 'a+b');
  for (const bad of ['+', '+2', '+2G', 'a b', 'é']) assert.equal(decodeXtext(bad), undefined, bad);
});

test('wrapped lines are as long as they may be, and lose no word', () => {
  assert.deepEqual(wrapLine('short'), ['short']);
  assert.deepEqual(wrapLine(''), ['']);
  const words = fc.array(fc.string({ minLength: 1 }).map((word) => word.replace(/\s/g, 'x')));
  fc.assert(
    fc.property(words, (list) => {
      const lines = wrapLine(list.join(' '));
      assert.deepEqual(lines.join(' ').split(/ +/), list.length === 0 ? [''] : list);
      for (const line of lines) {
        const longest = Math.max(
          ...line
            .trim()
            .split(' ')
            .map((word) => Buffer.byteLength(word)),
        );
        assert.ok(Buffer.byteLength(line) <= Math.max(79, longest + 4), line);
      }
    }),
  );
});
