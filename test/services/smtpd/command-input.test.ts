import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CommandInput, type Line } from '../../../services/smtpd/command-input.ts';

const LIMIT = 20;

function read(pieces: readonly Buffer[], limit = LIMIT): { lines: Line[]; pending: string } {
  const input = new CommandInput(limit);
  const lines: Line[] = [];
  for (const piece of pieces) {
    input.push(piece);
    for (let line = input.next(); line !== undefined; line = input.next()) lines.push(line);
  }
  return { lines, pending: input.pending.toString('latin1') };
}

const text = (value: string) => [Buffer.from(value, 'latin1')];
const whole = { isUtf8: true, isBare: false, isCut: false };

const CASES: Readonly<Record<string, readonly Line[]>> = {
  'NOOP\r\n': [{ ...whole, text: 'NOOP' }],
  'a\r\nb\r\n': [
    { ...whole, text: 'a' },
    { ...whole, text: 'b' },
  ],
  '\r\n': [{ ...whole, text: '' }],
  '\n': [{ ...whole, text: '', isBare: true }],
  'a\n': [{ ...whole, text: 'a', isBare: true }],
  'a\r\r\n': [{ ...whole, text: 'a' }],
  'a\rb\r\n': [{ ...whole, text: 'a\rb' }],
  'a\0b\r\n': [{ ...whole, text: 'a' }],
  '\xc3\xa9\r\n': [{ ...whole, text: 'é' }],
  '\xe9\r\n': [{ ...whole, text: '\xe9', isUtf8: false }],
  'a\0\xe9\r\n': [{ ...whole, text: 'a', isUtf8: false }],
  [`${'x'.repeat(LIMIT - 1)}\r\n`]: [{ ...whole, text: 'x'.repeat(LIMIT - 1) }],
  [`${'x'.repeat(LIMIT)}\r\nb\r\n`]: [
    { ...whole, text: 'x'.repeat(LIMIT), isCut: true },
    { ...whole, text: 'b' },
  ],
  [`${'x'.repeat(5 * LIMIT)}\nb\r\n`]: [
    { ...whole, text: 'x'.repeat(LIMIT), isCut: true, isBare: true },
    { ...whole, text: 'b' },
  ],
};

for (const [input, lines] of Object.entries(CASES)) {
  test(`the lines of ${JSON.stringify(input.slice(0, 40))}`, () => {
    assert.deepEqual(read(text(input)), { lines, pending: '' });
  });
}

test('what has no end yet is pending', () => {
  assert.deepEqual(read(text('a\r\nMAIL FR')), {
    lines: [{ ...whole, text: 'a' }],
    pending: 'MAIL FR',
  });
});

test('of a line without an end only the beginning is kept', () => {
  const input = new CommandInput(LIMIT);
  for (let count = 0; count < 9; count += 1) {
    input.push(Buffer.alloc(LIMIT, 'x'));
    assert.equal(input.next(), undefined);
    assert.ok(input.pending.length <= LIMIT);
    assert.equal(input.isEndless, false);
  }
  for (let count = 0; count < 3; count += 1) {
    input.push(Buffer.alloc(LIMIT, 'x'));
    input.next();
  }
  assert.equal(input.isEndless, true);
});

test('what follows the lines can be taken as it is', () => {
  const input = new CommandInput(LIMIT);
  input.push(Buffer.from('DATA\r\ncontent\r\n'));
  assert.equal(input.next()?.text, 'DATA');
  assert.equal(input.takeAll().toString(), 'content\r\n');
  assert.equal(input.hasPending, false);
});

test('it does not matter how the input was cut', () => {
  const byte = fc.constantFrom(...Buffer.from('\r\n\r\n\0ab\xe9\xc3\xa9', 'latin1'));
  fc.assert(
    fc.property(
      fc.array(byte, { maxLength: 60 }),
      fc.array(fc.nat(60), { maxLength: 6 }),
      (bytes, cuts) => {
        const all = Buffer.from([...bytes, ...Buffer.from('\r\n')]);
        const places = [0, ...cuts.filter((cut) => cut < all.length), all.length];
        places.sort((a, b) => a - b);
        const pieces = places.slice(1).map((end, at) => all.subarray(places[at] ?? 0, end));
        assert.deepEqual(read(pieces, 5), read([all], 5));
      },
    ),
    { numRuns: 3000 },
  );
});
