import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatHeader,
  headerNameLength,
  knownHeader,
  parseHeader,
  unfold,
} from '../../../lib/message/header.ts';

const NAMES: readonly (readonly [line: string, length: number])[] = [
  ['Subject: x', 7],
  ['Subject:', 7],
  ['Subject : x', 7],
  ['Subject\t: x', 7],
  ['a:b', 1],
  [': x', 0],
  [' Subject: x', 0],
  ['Sub ject: x', 0],
  ['Subject', 0],
  ['', 0],
  ['\x01x: y', 0],
  ['S\xfcbject: x', 0],
  ['http://x', 4],
  ['>From x: y', 0],
  ['x\0: y', 0],
];

for (const [line, length] of NAMES) {
  test(`the name in ${JSON.stringify(line)} has ${length} characters`, () => {
    assert.equal(headerNameLength(line), length);
  });
}

test('a header is a name and everything behind the colon', () => {
  assert.deepEqual(parseHeader('To : a,\n b'), { name: 'To', value: ' a,\n b' });
  assert.equal(parseHeader('no header'), undefined);
  assert.equal(unfold(' a,\n b'), ' a, b');
});

test('known headers are known in any case', () => {
  assert.equal(knownHeader('RESENT-to')?.extract, true);
  assert.equal(knownHeader('from')?.addresses, 'sender');
  assert.equal(knownHeader('content-TYPE')?.mime, true);
  assert.equal(knownHeader('X-Mailer'), undefined);
  assert.equal(knownHeader('constructor'), undefined);
});

test('nobody smuggles a second header into one of ours', () => {
  assert.equal(formatHeader('Subject', 'x'), 'Subject: x');
  for (const value of ['a\nBcc: b', 'a\rb', 'a\0b']) {
    assert.throws(() => formatHeader('Subject', value), RangeError);
  }
  assert.throws(() => formatHeader('Bad name', 'x'), RangeError);
});
