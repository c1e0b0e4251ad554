import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAliasLine } from '../../../lib/table/alias-source.ts';
import { parseMapLine } from '../../../lib/table/map-source.ts';
import { sourceLines } from '../../../lib/table/source-lines.ts';

const linesOf = (text: string | Buffer) =>
  [...sourceLines(Buffer.from(text as string))].map(({ line, text }) => `${line}:${text}`);

const SOURCES: readonly [string, string[]][] = [
  ['', []],
  ['\n\n', []],
  ['# comment\n', []],
  ['  # comment\n', []],
  ['a b', ['1:a b']],
  ['a b\n', ['1:a b']],
  ['a b\nc d\n', ['1:a b', '2:c d']],
  ['a\n b\n', ['1:a b']],
  ['a\n\tb\n', ['1:a\tb']],
  ['a\n\n# no\n b\nc', ['1:a b', '5:c']],
  ['  lead\nx', ['1:  lead', '2:x']],
  ['a \n  b  \n', ['1:a   b  ']],
  ['a\0b\nc', ['1:a', '2:c']],
];

for (const [source, lines] of SOURCES) {
  test(`logical lines of ${JSON.stringify(source)}`, () => {
    assert.deepEqual(linesOf(source), lines);
  });
}

test('a line that is not UTF-8 does not spoil its neighbours', () => {
  const bytes = Buffer.from([0xc3, 0xa9, 0x0a, 0xff, 0x0a, 0x7a]);
  const lines = [...sourceLines(bytes)];
  assert.deepEqual(
    lines.map(({ text, utf8 }) => [text, utf8]),
    [
      ['é', true],
      ['ÿ', false],
      ['z', true],
    ],
  );
});

test('splitting takes time in proportion to the text', () => {
  const text = `a${'\n b'.repeat(200_000)}`;
  assert.equal([...sourceLines(Buffer.from(text))].length, 1);
});

const MAP_LINES: readonly [string, string | undefined, string | undefined, string | undefined][] = [
  ['a b', 'a', 'b', undefined],
  ['a   b c  ', 'a', 'b c', undefined],
  ['"a b" c', '"a b"', 'c', undefined],
  ['a"b c"d e', 'a"b c"d', 'e', undefined],
  ['a\\ b c', 'a\\ b', 'c', undefined],
  ['a', undefined, undefined, 'expected format: key whitespace value'],
  [' a b', undefined, undefined, 'expected format: key whitespace value'],
  ['a"b c', undefined, undefined, `unbalanced '"' in 'a"b c' -- ignoring this line`],
  ['a: b', 'a:', 'b', 'record is in "key: value" format; is this an alias file?'],
];

for (const [text, key, value, problem] of MAP_LINES) {
  test(`a line of a map: ${JSON.stringify(text)}`, () => {
    const parsed = parseMapLine({ text, line: 1, utf8: true });
    assert.deepEqual([parsed.entry?.key, parsed.entry?.value], [key, value]);
    assert.equal(parsed.problem, problem);
  });
}

const ALIAS_LINES: readonly [string, string | undefined, string | undefined, string | undefined][] =
  [
    ['a: b', 'a', 'b', undefined],
    ['a:b,c', 'a', 'b, c', undefined],
    ['"a b": c', 'a b', 'c', undefined],
    ['a : "|cmd x, y" , :include:/f', 'a', '"|cmd x, y", :include:/f', undefined],
    ['a: \\root', 'a', 'root', undefined],
    ['a: Full Name <b@c>', 'a', 'Full Name <b@c>', undefined],
    ['a: b (x', 'a', 'b (x', undefined],
    ['a: "b', 'a', '"b"', undefined],
    ['a', undefined, undefined, 'need name:value pair'],
    ['a:', undefined, undefined, 'need name:value pair'],
    [': a', undefined, undefined, 'need name:value pair'],
    ['a@b: c', undefined, undefined, 'name must be local'],
    ['"a@b": c', 'a@b', 'c', undefined],
  ];

for (const [text, key, value, problem] of ALIAS_LINES) {
  test(`a line of aliases: ${JSON.stringify(text)}`, () => {
    const parsed = parseAliasLine({ text, line: 1, utf8: true });
    assert.deepEqual([parsed.entry?.key, parsed.entry?.value], [key, value]);
    assert.equal(parsed.problem, problem);
  });
}

test('no text upsets the parsers', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const line of sourceLines(Buffer.from(text))) {
        parseMapLine(line);
        parseAliasLine(line);
      }
    }),
  );
});
