import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeLine } from '../../../lib/message/quoted-printable.ts';
import { MessageFilter } from '../../../services/smtp/content-filter.ts';
import { LineFolder } from '../../../services/smtp/line-folder.ts';

function fold(limit: number, ...chunks: string[]): string {
  const folder = new LineFolder(limit);
  return chunks.map((chunk) => folder.push(Buffer.from(chunk)).toString()).join('');
}

const FOLDED: [limit: number, chunks: string[], out: string][] = [
  [10, ['0123456789\r\n'], '0123456789\r\n'],
  [10, ['0123456789a\r\n'], '0123456789\r\n a\r\n'],
  [10, ['0123456789abcdefghijk\r\nx\r\n'], '0123456789\r\n abcdefghi\r\n jk\r\nx\r\n'],
  [10, ['01234', '56789', 'a\r\n'], '0123456789\r\n a\r\n'],
  [10, ['0123456789', '\r\nx\r\n'], '0123456789\r\nx\r\n'],
  [10, ['0123456789\r', '\nx\r\n'], '0123456789\r\nx\r\n'],
  [0, ['0123456789abc\r\n'], '0123456789abc\r\n'],
];
for (const [limit, chunks, out] of FOLDED) {
  test(`${JSON.stringify(chunks)} in lines of ${limit} is ${JSON.stringify(out)}`, () => {
    assert.equal(fold(limit, ...chunks), out);
  });
}

test('no line comes out longer than the limit, and nothing is lost', () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 40 });
  fc.assert(
    fc.property(fc.array(line), fc.integer({ min: 2, max: 12 }), (lines, limit) => {
      const text = lines.map((l) => `${l}\r\n`).join('');
      const out = fold(limit, text);
      assert.ok(out.split('\r\n').every((l) => l.length <= limit));
      assert.equal(out.replaceAll('\r\n ', ''), text);
    }),
  );
});

test('text without long lines is not copied', () => {
  const chunk = Buffer.from('short\r\n'.repeat(1000));
  assert.equal(new LineFolder(998).push(chunk), chunk);
});

test('quoted-printable lines are short, and mean what they meant', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const line = Buffer.from(bytes.filter((byte) => byte !== 0x0a));
      const encoded = encodeLine(line, false);
      assert.match(encoded, /^[\t\r\n\x20-\x7e]*$/);
      assert.ok(encoded.split('\r\n').every((l) => l.length <= 76));
      const plain = encoded
        .replace(/=\r\n/g, '')
        .replace(/=([0-9A-F]{2})/g, (_all, hex: string) =>
          String.fromCharCode(Number.parseInt(hex, 16)),
        );
      assert.equal(plain, line.toString('latin1'));
    }),
  );
});

const FILTER = {
  mime: { disabled: false, nestingLimit: 100, boundaryLimit: 2048, headerLimit: 102_400 },
  addressTokenLimit: 10_240,
};

test('content is the same however it is cut into chunks', async () => {
  const message = Buffer.from(
    'Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n' +
      '--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n--b--\r\nbye ü\r\n',
  );
  const whole = await filtered([message]);
  assert.match(
    whole,
    /^Content-Type: multipart\/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit/,
  );
  assert.match(
    whole,
    /--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n--b--/,
  );
  const lines = message.toString('latin1').split(/(?<=\n)/);
  assert.equal(await filtered(lines.map((line) => Buffer.from(line, 'latin1'))), whole);
});

async function filtered(chunks: readonly Buffer[]): Promise<string> {
  const filter = new MessageFilter({ ...FILTER, sevenBit: true });
  const out: Buffer[] = [];
  for (const chunk of chunks) out.push(await filter.push(chunk));
  out.push(await filter.end());
  return Buffer.concat(out).toString();
}
