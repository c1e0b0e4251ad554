import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FromQuoter } from '../../../lib/delivery/from-quoter.ts';

const CASES: readonly [text: string, quoted: string][] = [
  ['', ''],
  ['From a\n', '>From a\n'],
  ['Subject: x\n\nFrom here\n', 'Subject: x\n\n>From here\n'],
  ['>From there\n', '>From there\n'],
  ['from small\nFromage\n From\nxFrom x\n', 'from small\nFromage\n From\nxFrom x\n'],
  ['\nFrom a\nFrom b\n\nFrom c', '\n>From a\n>From b\n\n>From c'],
  ['a\nFrom', 'a\nFrom'],
  ['a\n', 'a\n'],
  ['Fro', 'Fro'],
];

function quoteInChunks(text: string, size: number): string {
  const quoter = new FromQuoter();
  const out: Buffer[] = [];
  for (let at = 0; at < text.length; at += size) {
    quoter.push(Buffer.from(text.slice(at, at + size)), out);
  }
  quoter.end(out);
  return Buffer.concat(out).toString();
}

for (const [text, quoted] of CASES) {
  test(`${JSON.stringify(text)} becomes ${JSON.stringify(quoted)}, however it is cut`, () => {
    for (const size of [1, 2, 3, 4, 5, 6, 7, 100]) {
      assert.equal(quoteInChunks(text, size), quoted, `in pieces of ${size}`);
    }
  });
}
