import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatRecord,
  RecordError,
  RecordParser,
  RecordWriter,
  readRecord,
} from '../../../lib/queue/record.ts';

for (const bytes of ['', 'S', 'S\x80', 'S\x03a@']) {
  test(`readRecord asks for more after ${JSON.stringify(bytes)}`, () => {
    assert.equal(readRecord(Buffer.from(bytes, 'latin1'), 0), undefined);
  });
}

const LENGTHS = [
  [0, '00'],
  [95, '5f'],
  [127, '7f'],
  [128, '8001'],
  [2048, '8010'],
  [16384, '808001'],
] as const;

for (const [length, hex] of LENGTHS) {
  test(`a record of ${length} bytes has the length bytes ${hex}`, () => {
    const bytes = formatRecord('N', Buffer.alloc(length, 'x'));
    assert.equal(bytes.toString('hex', 1, 1 + hex.length / 2), hex);
    const found = readRecord(bytes, 0);
    assert.equal(found?.record.data.length, length);
    assert.equal(found.next, bytes.length);
  });
}

test('a length may be longer than it must', () => {
  assert.equal(readRecord(Buffer.from('N\x82\x00ab', 'latin1'), 0)?.record.data.toString(), 'ab');
});

test('five length bytes are refused', () => {
  const bytes = Buffer.from('N\x80\x80\x80\x80\x01', 'latin1');
  assert.throws(() => readRecord(bytes, 0), RecordError);
  const parser = new RecordParser();
  parser.push(bytes);
  assert.throws(() => parser.next(), RecordError);
});

test('a record longer than the limit is refused before it is there', () => {
  const parser = new RecordParser(100);
  parser.push(formatRecord('N', 'x'.repeat(101)).subarray(0, 5));
  assert.throws(() => parser.next(), RecordError);
});

const records = fc.array(
  fc.tuple(fc.constantFrom('N', 'L', 'A'), fc.uint8Array({ maxLength: 300 })),
  { maxLength: 40 },
);

test('what a writer wrote a parser finds, however it is cut into chunks', () => {
  fc.assert(
    fc.property(records, fc.array(fc.nat(50), { minLength: 1 }), (list, cuts) => {
      const writer = new RecordWriter(256);
      const parts: Buffer[] = [];
      for (const [index, [type, data]] of list.entries()) {
        assert.equal(writer.offset, Buffer.concat(parts).length + writer.pending);
        writer.record(type, data);
        if (index % 3 === 0) parts.push(writer.take());
      }
      const bytes = Buffer.concat([...parts, writer.take()]);
      assert.deepEqual(
        bytes,
        Buffer.concat(list.map(([type, data]) => formatRecord(type, Buffer.from(data)))),
      );
      const parser = new RecordParser();
      const found: [string, Uint8Array][] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const size = (cuts[turn % cuts.length] ?? 0) + 1;
        parser.push(bytes.subarray(at, at + size));
        at += size;
        while (parser.next()) found.push([parser.type, Uint8Array.from(parser.data())]);
      }
      assert.deepEqual(found, list);
      assert.equal(parser.rest, 0);
    }),
  );
});

test('text in records is UTF-8', () => {
  const writer = new RecordWriter();
  writer.record('S', 'jörg@exämple.test');
  const found = readRecord(writer.take(), 0);
  assert.equal(found?.record.data.toString(), 'jörg@exämple.test');
});

test('what follows the records is handed over', () => {
  const parser = new RecordParser();
  parser.push(Buffer.concat([formatRecord('E'), Buffer.from('re')]));
  parser.push(Buffer.from('st'));
  assert.ok(parser.next());
  assert.equal(parser.takeRest().toString(), 'rest');
});
