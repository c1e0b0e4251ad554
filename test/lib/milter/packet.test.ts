import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FieldReader,
  formatLongs,
  formatPacket,
  PACKET_BYTES_MAX,
  PacketError,
  PacketParser,
  terminated,
} from '../../../lib/milter/packet.ts';

test('packets are a length, a letter and data', () => {
  assert.equal(
    formatPacket('O', formatLongs(6, 0x1ff, 0x1f_ffff)).toString('hex'),
    '0000000d4f00000006000001ff001fffff',
  );
  assert.equal(formatPacket('H', terminated('h\xe9.test')).toString('latin1', 4), 'Hh\xe9.test\0');
  assert.equal(formatPacket('A').toString('hex'), '0000000141');
  // What comes behind a NUL would be another field.
  assert.equal(terminated('a\0b'), 'a\0');
});

test('packets are found however their bytes come', () => {
  const packets = [
    ['c', ''],
    ['y', '550 5.7.1 no\0'],
    ['b', 'x'.repeat(70_000)],
    ['p', ''],
    ['h', 'X-A\0b\0'],
  ] as const;
  const bytes = Buffer.concat(packets.map(([letter, data]) => formatPacket(letter, data)));
  for (const size of [1, 3, 4, 5, 7, 1000, 65_536, bytes.length]) {
    const parser = new PacketParser();
    const found: unknown[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      parser.push(bytes.subarray(at, at + size));
      while (parser.isReady) {
        const packet = parser.next();
        found.push([packet?.letter, packet?.data.toString('latin1')]);
      }
      assert.equal(parser.next(), undefined);
    }
    assert.deepEqual(found, packets, `in pieces of ${size}`);
  }
});

for (const [hex, message] of [
  ['00000000', /bad packet length: 0/],
  ['7fffffff63', /unreasonable packet length: 2147483647 > \d+/],
] as const) {
  test(`a packet that begins with ${hex} is none`, () => {
    const parser = new PacketParser();
    parser.push(Buffer.from(hex, 'hex'));
    assert.equal(parser.isReady, true);
    assert.throws(() => parser.next(), { name: 'PacketError', message });
  });
}

test('the longest packet that is read', () => {
  const parser = new PacketParser();
  parser.push(formatPacket('b', 'x'.repeat(PACKET_BYTES_MAX - 1)));
  assert.equal(parser.next()?.data.length, PACKET_BYTES_MAX - 1);
});

test('fields are read one after the other', () => {
  const fields = new FieldReader(Buffer.from('\0\0\0\x02X-A\0b c\0rest', 'latin1'));
  assert.equal(fields.long(), 2);
  assert.equal(fields.string(), 'X-A');
  assert.equal(fields.optionalString(), 'b c');
  assert.throws(() => fields.string(), PacketError);
  assert.equal(fields.bytes().toString(), 'rest');
  assert.equal(fields.optionalString(), undefined);
  assert.throws(() => fields.string(), /packet too short for string/);
  assert.throws(() => new FieldReader(Buffer.from('abc')).long(), /too short for network long/);
});
