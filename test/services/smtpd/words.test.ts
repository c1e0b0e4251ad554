import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { joinWords, splitWords } from '../../../services/smtpd/words.ts';

const LINES: Readonly<Record<string, readonly string[]>> = {
  '': [],
  ' \t\r ': [],
  NOOP: ['NOOP'],
  '  RSET  now ': ['RSET', 'now'],
  'MAIL FROM:<a@b> SIZE=1': ['MAIL', 'FROM:<a@b>', 'SIZE=1'],
  'MAIL FROM: <a b@c>': ['MAIL', 'FROM:', '<a b@c>'],
  'RCPT TO:<"a> b"@c> X': ['RCPT', 'TO:<"a> b"@c>', 'X'],
  'RCPT TO:<a\\> b@c> X': ['RCPT', 'TO:<a\\> b@c>', 'X'],
  'RCPT TO:"a b"@c': ['RCPT', 'TO:"a b"@c'],
  'RCPT TO:a\\ b@c': ['RCPT', 'TO:a\\ b@c'],
  'FOO [a b] (c d)': ['FOO', '[a', 'b]', '(c', 'd)'],
};

for (const [line, words] of Object.entries(LINES)) {
  test(`the words of ${JSON.stringify(line)}`, () => {
    const found = splitWords(line);
    assert.deepEqual(
      found.map(({ text }) => text),
      words,
    );
    assert.ok(found.every(({ isBroken }) => !isBroken));
  });
}

for (const line of ['MAIL FROM:<a b', 'MAIL FROM:"a b', 'MAIL FROM:<"a>', 'X <a\\>', 'X "\\"']) {
  test(`${JSON.stringify(line)} ends in a broken word`, () => {
    const [, last, ...others] = splitWords(line);
    assert.equal(last?.isBroken, true);
    assert.deepEqual(others, []);
  });
}

test('words joined and split again are the same', () => {
  const character = fc.constantFrom(...'<>"\\ \t:[]()ab@'.split(''));
  fc.assert(
    fc.property(fc.array(character, { maxLength: 40 }), (characters) => {
      const words = splitWords(characters.join(''));
      const again = splitWords(joinWords(words, 0));
      assert.deepEqual(again, words);
      assert.ok(words.slice(0, -1).every(({ isBroken }) => !isBroken));
    }),
    { numRuns: 2000 },
  );
});
