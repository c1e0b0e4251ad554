import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Chunk, ChunkReader, parseChunk } from '../../../services/smtpd/chunk-reader.ts';
import { ContentReader } from '../../../services/smtpd/content-reader.ts';
import { parseRecords } from '../../support/records.ts';

const reader = () =>
  new ContentReader({ newlines: 'accept', lineBytesMax: 2048, sizeMax: 0, framing: 'chunks' });

const recordsOf = (bytes: Buffer) => parseRecords(bytes).map(([type, text]) => `${type}:${text}`);

for (const [words, expected] of [
  [['3'], { sizeBytes: 3, isLast: false }],
  [['0', 'LAST'], { sizeBytes: 0, isLast: true }],
  [['007', 'last'], { sizeBytes: 7, isLast: true }],
  [['9223372036854775807'], { sizeBytes: Number(2n ** 63n - 1n), isLast: false }],
  [['9223372036854775808'], undefined],
  [[], undefined],
  [[''], undefined],
  [['-1'], undefined],
  [['+1'], undefined],
  [['0x10'], undefined],
  [['1e3'], undefined],
  [['3', 'FIRST'], undefined],
  [['3', 'LAST', 'LAST'], undefined],
] as const satisfies readonly (readonly [readonly string[], Chunk | undefined])[]) {
  test(`BDAT ${words.join(' ')} ${expected ? 'is a chunk' : 'is none'}`, () => {
    assert.deepEqual(parseChunk(words), expected);
  });
}

test('what follows a chunk is a command', () => {
  const chunk = new ChunkReader({ sizeBytes: 3, isLast: false }, reader());
  const piece = chunk.push(Buffer.from('a\r\nQUIT\r\n'));
  assert.deepEqual(recordsOf(piece.records), ['N:a']);
  assert.deepEqual([piece.ended, piece.rest.toString()], [true, 'QUIT\r\n']);
});

test('a chunk that nobody wants is counted all the same', () => {
  const chunk = new ChunkReader({ sizeBytes: 4, isLast: true });
  assert.deepEqual(
    ['ab', 'cdRSET'].map((text) => chunk.push(Buffer.from(text))).map(({ ended }) => ended),
    [false, true],
  );
});

test('content comes to the same, however it is cut into chunks and pieces', () => {
  const LINE = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(
      '.',
      '..',
      'From x',
      ' y',
      'x'.repeat(2047),
      'x'.repeat(2048),
      'x'.repeat(5000),
    ),
  );
  const END = fc.constantFrom('\r\n', '\n', '\r\r\n', '\r', '');
  const TEXT = fc.array(fc.tuple(LINE, END), { maxLength: 8 }).map((all) => all.flat().join(''));
  fc.assert(
    fc.property(
      TEXT,
      fc.array(fc.nat(), { maxLength: 6 }),
      fc.integer({ min: 1 }),
      (text, at, n) => {
        const bytes = Buffer.from(text, 'latin1');
        const whole = reader();
        const expected = Buffer.concat([whole.push(bytes).records, whole.finish()]);
        const cuts = at.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
        const content = reader();
        const found: Buffer[] = [];
        for (const [index, end] of [...cuts, bytes.length].entries()) {
          const chunk = bytes.subarray(cuts[index - 1] ?? 0, end);
          const isLast = index === cuts.length;
          if (chunk.length === 0) {
            if (isLast) found.push(content.finish());
            continue;
          }
          const input = new ChunkReader({ sizeBytes: chunk.length, isLast }, content);
          const size = 1 + (n % chunk.length);
          for (let from = 0; from < chunk.length; from += size) {
            const piece = input.push(chunk.subarray(from, from + size));
            found.push(piece.records);
            assert.equal(piece.ended, from + size >= chunk.length);
          }
        }
        assert.deepEqual(recordsOf(Buffer.concat(found)), recordsOf(expected));
        assert.equal(content.sizeBytes, whole.sizeBytes);
      },
    ),
  );
});
