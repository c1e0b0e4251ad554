import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DotStuffer, DotUnstuffer } from '../../../lib/smtp/dot.ts';

function stuff(...chunks: string[]): string {
  const stuffer = new DotStuffer();
  const bytes = chunks.map((chunk) => stuffer.push(Buffer.from(chunk)));
  return Buffer.concat([...bytes, stuffer.end()]).toString();
}

const STUFFED: [chunks: string[], wire: string][] = [
  [[], '.\r\n'],
  [['a\r\nb\r\n'], 'a\r\nb\r\n.\r\n'],
  [['.\r\n'], '..\r\n.\r\n'],
  [['.a\r\n..b\r\nc.\r\n'], '..a\r\n...b\r\nc.\r\n.\r\n'],
  [['a\r\n', '.b\r\n'], 'a\r\n..b\r\n.\r\n'],
  [['a\r\n', '', '.b\r\n'], 'a\r\n..b\r\n.\r\n'],
  [['a', '.b\r\n'], 'a.b\r\n.\r\n'],
  [['no line end'], 'no line end\r\n.\r\n'],
];
for (const [chunks, wire] of STUFFED) {
  test(`${JSON.stringify(chunks)} goes out as ${JSON.stringify(wire)}`, () => {
    assert.equal(stuff(...chunks), wire);
  });
}

test('text without leading dots is passed on as it is, not copied', () => {
  const chunk = Buffer.from('no dots here\r\n');
  assert.equal(new DotStuffer().push(chunk), chunk);
});

const UNSTUFFED: [wire: string, content: string, rest: string | undefined][] = [
  ['.\r\n', '', ''],
  ['a\r\n.\r\nQUIT\r\n', 'a\r\n', 'QUIT\r\n'],
  ['..a\r\n.\r\n', '.a\r\n', ''],
  ['.a\r\n.\r\n', 'a\r\n', ''],
  ['a\n.\n.\r\nb\r\n.\r\n', 'a\n.\n.\r\nb\r\n', ''],
  ['a\r\n.\nb\r\n', 'a\r\n\nb\r\n', undefined],
  ['a\r.\r\n.\r\n', 'a\r.\r\n', ''],
  ['a\r\n.\r.\r\n', 'a\r\n\r.\r\n', undefined],
  ['a\r\r\n.\r\n', 'a\r\r\n', ''],
];
for (const [wire, content, rest] of UNSTUFFED) {
  test(`${JSON.stringify(wire)} holds ${JSON.stringify(content)}`, () => {
    for (const size of [1, 2, 3, 1000]) {
      const unstuffer = new DotUnstuffer();
      let got = '';
      let left: string | undefined;
      for (let at = 0; at < wire.length && left === undefined; at += size) {
        const found = unstuffer.push(Buffer.from(wire.slice(at, at + size)));
        got += found.content;
        if (found.done) left = found.rest.toString() + wire.slice(at + size);
      }
      assert.equal(got, content);
      assert.equal(left, rest);
    }
  });
}

test('what is stuffed comes out as it went in, however it is cut', () => {
  const line = fc.string({ unit: fc.constantFrom('.', 'a', '\r', '\n', ' '), maxLength: 12 });
  fc.assert(
    fc.property(fc.array(line), fc.integer({ min: 1, max: 7 }), (lines, size) => {
      const stuffer = new DotStuffer();
      const text = lines.map((l) => `${l.replace(/[\r\n]/g, '')}\r\n`);
      const parts = text.map((chunk) => stuffer.push(Buffer.from(chunk)));
      const wire = Buffer.concat([...parts, stuffer.end()]);
      const unstuffer = new DotUnstuffer();
      let got = '';
      let done = false;
      for (let at = 0; at < wire.length; at += size) {
        const found = unstuffer.push(wire.subarray(at, at + size));
        got += found.content;
        done ||= found.done;
      }
      assert.equal(got, text.join(''));
      assert.ok(done);
    }),
  );
});
