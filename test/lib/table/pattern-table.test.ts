import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openFrom } from './support.ts';

const RULES = `
/^(.*)-outgoing@(.*)$/  550 use \${1}@$(2) for $$5
/case/i                 exact
!/@/                    bare
if /^in/
/out$/                  block $$
if !/deep/
/x/                     not deep
endif
/x/                     deep
endif
|^a/b|                  other delimiter
/[[:digit:]]{3}/        digits
/tail/
  continued   here
`;

const ANSWERS: readonly [string, string | undefined][] = [
  ['list-outgoing@a.b', '550 use list@a.b for $5'],
  ['LIST-OUTGOING@a.b', '550 use LIST@a.b for $5'],
  ['a@case', 'exact'],
  ['a@CASE', undefined],
  ['bare', 'bare'],
  ['in@out', 'block $'],
  ['in@x', 'not deep'],
  ['in-deep@x', 'deep'],
  ['in@y', undefined],
  ['a/b@', 'other delimiter'],
  ['@123', 'digits'],
  ['@12', undefined],
  ['@tail', 'continued   here'],
];

for (const type of ['regexp', 'pcre']) {
  for (const [key, answer] of ANSWERS) {
    test(`${type} answers ${key}`, (t) => {
      const { table, notes } = openFrom(t, type, RULES);
      assert.equal(table.lookup(key), answer);
      assert.deepEqual(notes.lines, []);
      assert.equal(table.pattern, true);
    });
  }

  test(`${type} cuts between bytes of UTF-8 where the pattern does`, (t) => {
    const { table } = openFrom(t, type, '/^é(.*)ü$/ <$1>\n');
    assert.equal(table.lookup('ébö€ü'), '<bö€>');
  });
}

test('regexp matches leftmost and longest, pcre the first alternative', (t) => {
  const rule = '/(a|ab)(c)?/ $1\n';
  assert.equal(openFrom(t, 'regexp', rule).table.lookup('abcd'), 'ab');
  assert.equal(openFrom(t, 'pcre', rule).table.lookup('abcd'), 'a');
});

test('a pattern that pcre gives up on is reported, and the next rule has its turn', (t) => {
  const rules = '!/^(a+)+$/ x\nif !/^(a+)+$/\n/a/ y\nendif\n/^(a+)+$/ z$1\n/^a/ next\n';
  const { table, path, notes } = openFrom(t, 'pcre', rules);
  assert.equal(table.lookup(`${'a'.repeat(40)}!`), 'next');
  assert.deepEqual(
    notes.lines,
    [1, 2, 5].map((line) => `pcre map ${path}, line ${line}: match limit exceeded`),
  );
});

const PROBLEMS: readonly [string, string[]][] = [
  ['/abc/ found $1', ['out of range replacement index "1": skipping this rule']],
  ['!/q/ neg $1', ['$number found in negative match replacement text: skipping this rule']],
  ['/a', ['no closing regexp delimiter "/": skipping this rule']],
  ['/a/o x', ['unknown regexp option "o": skipping this rule']],
  ['/(a/ x', ['Unmatched ( or \\(']],
  ['plain text', ['ignoring unrecognized request']],
  ['/a/', ['no replacement text: using empty string']],
  ['endif', ['ignoring ENDIF without matching IF']],
  ['if /a/', ['IF has no matching ENDIF']],
  ['if /a/\nendif x', ['2: ignoring extra text after ENDIF']],
  [
    'if /a/\n /x/ y\nendif',
    [
      'ignoring extra text after IF statement: "/x/ y"',
      'do not prepend whitespace to statements between IF and ENDIF',
    ],
  ],
];

for (const [rule, texts] of PROBLEMS) {
  test(`regexp complains about ${JSON.stringify(rule)}`, (t) => {
    const { path, notes } = openFrom(t, 'regexp', rule);
    const expected = texts.map((text) => {
      const [, line = '1', rest = ''] = /^(?:(\d): )?(.*)$/s.exec(text) ?? [];
      return `regexp map ${path}, line ${line}: ${rest}`;
    });
    assert.deepEqual(notes.lines, expected);
  });
}

test('a result text that is no result text is reported twice, as in Postfix', (t) => {
  const { path, notes } = openFrom(t, 'regexp', '/(z)/ zed ${1\n/(z)/ $1x\n/(z)/ a$ b\n');
  assert.deepEqual(notes.lines, [
    'truncated macro reference: "zed ${1"',
    `regexp map ${path}, line 1: bad replacement syntax: skipping this rule`,
    `regexp map ${path}, line 2: non-numeric replacement index "1x"`,
    `regexp map ${path}, line 2: bad replacement syntax: skipping this rule`,
    'empty macro name: "a$ b"',
    `regexp map ${path}, line 3: bad replacement syntax: skipping this rule`,
  ]);
});

test('where senders could abuse it, $1 is refused', (t) => {
  const { table, notes } = openFrom(t, 'regexp', '/(a)/ $1\n/a/ plain\n', { substitution: false });
  assert.equal(table.lookup('a'), 'plain');
  assert.match(notes.lines[0] ?? '', /substitution is not allowed: skipping this rule$/);
});

const CIDR = `
192.0.2.7        one
192.0.2.0/24     net
[2001:db8::]/32  six
2001:db9::1      six one
if 10.0.0.0/8
10.1.0.0/16      inside
endif
!172.16.0.0/12   not private
10.9.9.9         never
0.0.0.0/0        rest
`;

const CIDR_ANSWERS: readonly [string, string | undefined][] = [
  ['192.0.2.7', 'one'],
  ['192.0.2.8', 'net'],
  ['10.1.2.3', 'inside'],
  ['10.2.2.3', 'not private'],
  ['172.16.1.1', 'rest'],
  ['2001:db8:1::5', 'six'],
  ['2001:0DB8::1', 'six'],
  ['2001:db9:0::1', 'six one'],
  ['::1', undefined],
  ['mail.example.com', undefined],
  ['192.0.2.7.8', undefined],
  ['fe80::1%eth0', undefined],
  ['', undefined],
];

for (const [key, answer] of CIDR_ANSWERS) {
  test(`cidr answers ${JSON.stringify(key)}`, (t) => {
    const { table, notes } = openFrom(t, 'cidr', CIDR);
    assert.equal(table.lookup(key), answer);
    assert.deepEqual(notes.lines, []);
  });
}

const CIDR_PROBLEMS: readonly [string, string][] = [
  ['192.0.2.300 x', 'bad address pattern: "192.0.2.300"'],
  ['1.2.3.4/x y', 'bad mask value in "1.2.3.4/x"'],
  ['10.1.0.0/33 x', 'bad mask length in "10.1.0.0/33"'],
  ['2001:db8::/129 x', 'bad mask length in "2001:db8::/129"'],
  [
    '10.0.0.1/8 x',
    'non-null host address bits in "10.0.0.1/8", perhaps you should use "10.0.0.0/8" instead',
  ],
  [
    '2001:db8::1/32 x',
    'non-null host address bits in "2001:db8::1/32", perhaps you should use "2001:db8::/32" instead',
  ],
  ['/8 x', 'bad network value in "/8"'],
  ['1.2.3.4', 'no lookup result'],
  ['! x', 'no lookup result'],
  ['endif', 'ENDIF without IF'],
];

for (const [rule, text] of CIDR_PROBLEMS) {
  test(`cidr complains about ${rule}`, (t) => {
    const { path, notes } = openFrom(t, 'cidr', rule);
    if (rule === '! x')
      assert.match(notes.lines[0] ?? '', /bad address pattern: "x"|no lookup result/);
    else assert.deepEqual(notes.lines, [`cidr map ${path}, line 1: ${text}: skipping this rule`]);
  });
}
