import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ExpansionError, expand } from '../../../lib/config/expand.ts';

const SETTINGS: Readonly<Record<string, string>> = {
  foo: 'F',
  empty: '',
  indirect: '$foo$foo',
  loop: '$pool',
  pool: 'x${loop}',
};
const lookup = (name: string) => SETTINGS[name];

// What Postfix 3.7.11's `postconf -x` printed.
for (const [text, value] of [
  ['plain', 'plain'],
  ['$foo-${foo}-$(foo)-${ foo }', 'F-F-F-F'],
  ['$indirect', 'FF'],
  ['a$$b', 'a$b'],
  ['$nope.x', '.x'],
  ['$foo.b-c', 'F.b-c'],
  ['${foo}}', 'F}'],
  ['$(nope?a)(b', '(b'],
  ['${foo?x$$y}', 'x$y'],
  ['${foo:x}', ''],
  ['${nope:x y}', 'x y'],
  ['${nope?{a}:{b}}', 'b'],
  ['${foo?{a}:{b}}', 'a'],
  ['${foo?{a}:b}', 'a'],
  ['${nope? {x} : y z }|', 'y z |'],
  ['${foo?{ x y }}|', 'x y |'],
  ['${foo ?  x}|', 'x|'],
  ['${foo??}', '?'],
  ['${foo?${foo}}|', 'F|'],
  ['${foo?{${foo?{q}}}}|', 'q|'],
  ['${?a}', ''],
  ['${{a} == {b} ? x : y}', ''],
  ['${{a} == {a} ? x : y}|', 'x : y|'],
  ['${{3} < {20}}', 'true'],
  ['${{abc} > {ab}}', 'true'],
  ['${{1x} < {2}}', 'true'],
  ['${{01} == {1}}', 'true'],
  ['${{ a} == {a}}', ''],
  ['${{a}=={a}?{yes} : {no}}', 'yes'],
  ['${{a}  ==  {a}  ?x}|', 'x|'],
  ['${{a} == {c}:y}|', 'y|'],
  ['${{$foo} == {F} ? {$foo$foo}}', 'FF'],
  ['${{a} == {b} ? {x}}y', 'y'],
  ['${{3.6} <=level {3.10}}', 'true'],
  ['${{3.6} <level {3.6.1}}', 'true'],
  ['${{10} >level {9}}', 'true'],
] as const) {
  test(`expand turns ${text} into ${JSON.stringify(value)}`, () => {
    assert.equal(expand(text, lookup), value);
  });
}

for (const [text, message] of [
  ['${foo', 'truncated macro reference: "${foo"'],
  ['$(foo', 'truncated macro reference: "$(foo"'],
  ['$', 'empty macro name: "$"'],
  ['$-x', 'empty macro name: "$-x"'],
  ['${}', 'empty macro name: "${}"'],
  ['${x y}', 'attribute name syntax error at: "...x>>> y"'],
  ['${foo=x}', 'attribute name syntax error at: "...foo>>>=x"'],
  ['${{a} =~ {b}}', '"==" or "!="" or "<"" or "<="" or ">="" or ">" expected at: "...a}>>>=~ {b}"'],
  ['${{a} == b}', '"{expression}" expected at: "...{a} ==>>> b"'],
  ['${{a} == {a} x}', '"?" or ":" expected at: "...}>>>x"'],
  ['${foo?{x} z}', '":" expected at: "...x}>>>z"'],
  ['${foo:{a}b}', 'unexpected input at: "...a}>>>b"'],
  ['$(foo?{a)b})', 'unbalanced {} in attribute expression: "{a"'],
  ['${{3.x} <level {3.6}}', 'malformed compatibility level syntax: "3.x"'],
] as const) {
  test(`expand refuses ${text} in Postfix's words`, () => {
    assert.throws(() => expand(text, lookup), { message });
  });
}

test('a name that refers to itself is refused, not followed for ever', () => {
  assert.throws(() => expand('$loop', lookup), /unreasonable macro call nesting: "(loop|pool)"/);
});

test('whatever the text, expand answers or refuses', () => {
  const piece = fc.constantFrom('$', '{', '}', '(', ')', '?', ':', ' ', 'foo', '==', '<level', 'é');
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      try {
        expand(pieces.join(''), lookup);
      } catch (error) {
        assert.ok(error instanceof ExpansionError, String(error));
      }
    }),
  );
});
