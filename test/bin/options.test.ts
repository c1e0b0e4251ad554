import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOptions } from '../../bin/options/options.ts';

const SYNTAX = { flags: 'c:f:q:o:vb#t', usage: 'prog [-c dir]' };

for (const [words, given, operands] of [
  [
    ['-v', '-c', 'dir', 'name'],
    [
      ['v', ''],
      ['c', 'dir'],
    ],
    ['name'],
  ],
  [
    ['-fuser@x.test', '-q30m', '-oi'],
    [
      ['f', 'user@x.test'],
      ['q', '30m'],
      ['o', 'i'],
    ],
    [],
  ],
  [
    ['-vvcdir'],
    [
      ['v', ''],
      ['v', ''],
      ['c', 'dir'],
    ],
    [],
  ],
  [['-c', '-v'], [['c', '-v']], []],
  [['-c', ''], [['c', '']], []],
  [
    ['-o', 'a="b"', '-c', '"x"', "-f'y'", '-q""', '-o', '"', '-c', '\\"$x`é\udcff'],
    [
      ['o', 'a="b"'],
      ['c', '"x"'],
      ['f', "'y'"],
      ['q', '""'],
      ['o', '"'],
      ['c', '\\"$x`é\udcff'],
    ],
    [],
  ],
  [['-c', 'a=b c\nd'], [['c', 'a=b c\nd']], []],
  [['-#', '4e5', '-v'], [['#', '']], ['4e5', '-v']],
  [['-v', '--', '-c'], [['v', '']], ['-c']],
  [['-', '-v'], [], ['-', '-v']],
  [
    ['-c', '007', '-c', '1e3'],
    [
      ['c', '007'],
      ['c', '1e3'],
    ],
    [],
  ],
] as const) {
  test(`the options of ${JSON.stringify(words)}`, () => {
    const options = parseOptions(words, SYNTAX);
    assert.deepEqual(options.given, given);
    assert.deepEqual(options.operands, operands);
    for (const [flag] of given) {
      const values = given.filter(([other]) => other === flag).map(([, value]) => value);
      assert.deepEqual(options.values(flag), values);
      assert.equal(options.value(flag), values.at(-1));
      assert.equal(options.count(flag), values.length);
      assert.ok(options.has(flag));
    }
    assert.equal(options.has('b'), false);
    assert.equal(options.value('b'), undefined);
  });
}

for (const [words, hint] of [
  [['-Z'], "invalid option -- 'Z'"],
  [['-vZ'], "invalid option -- 'Z'"],
  [['--help'], "invalid option -- '-'"],
  [['-:'], "invalid option -- ':'"],
  [['-v', '-c'], "option requires an argument -- 'c'"],
] as const) {
  test(`${JSON.stringify(words)} is refused`, () => {
    assert.throws(() => parseOptions(words, SYNTAX), { hint, message: 'usage: prog [-c dir]' });
  });
}
