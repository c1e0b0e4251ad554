import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expandMacros, MacroError } from '../../../services/local/macros.ts';

const VALUES: Readonly<Record<string, string>> = {
  user: 'bob',
  home: '/home/bob',
  odd: 'a;b`c`$user',
  empty: '',
};
const lookup = (name: string) => (Object.hasOwn(VALUES, name) ? VALUES[name] : undefined);

const CASES: readonly [text: string, result: string, complete: boolean][] = [
  ['plain', 'plain', true],
  ['$home/.forward', '/home/bob/.forward', true],
  ['${home}/x $(user)', '/home/bob/x bob', true],
  ['$$5', '$5', true],
  ['$home/.forward+$extension', '/home/bob/.forward+', false],
  ['${extension?+$extension}', '', true],
  ['${user?[$user]}', '[bob]', true],
  ['${user?{a}:{b}}${empty?{a}:{b}}${extension?{a}:{b}}', 'abb', true],
  ['${extension:none}${user:none}', 'none', true],
  ['${extension:{no $user}}', 'no bob', true],
  ['$odd', 'a;b`c`$user', true],
];

for (const [text, result, complete] of CASES) {
  test(`${text} becomes ${JSON.stringify(result)}`, () => {
    const expanded = expandMacros(text, lookup);
    assert.deepEqual([expanded.text, !expanded.undefinedName], [result, complete]);
  });
}

test('values pass the filter, the text around them does not', () => {
  assert.equal(expandMacros('a;b $odd', lookup, 'abcdefuser').text, 'a;b a_b_c__user');
});

for (const text of ['$', '${user', '${}', '${us er}', '${user?{a}b}', '$(user', '${user?{a}']) {
  test(`${text} is malformed`, () => {
    assert.throws(() => expandMacros(text, lookup), MacroError);
  });
}

test('nesting has an end', () => {
  const text = '${user?{'.repeat(50) + '}}'.repeat(50);
  assert.throws(() => expandMacros(text, lookup), MacroError);
});
