import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  PROXY_HEADER_MAX,
  ProxyHeaderError,
  parseProxyHeader,
} from '../../../lib/net/proxy-header.ts';

const V2 = '\r\n\r\n\0\r\nQUIT\n';
const END = 'EHLO client.test\r\n';

function v2(head: string, ...body: readonly number[]): string {
  const length = String.fromCharCode(body.length >> 8, body.length & 0xff);
  return `${V2}${head}${length}${String.fromCharCode(...body)}`;
}

const parse = (text: string, families: readonly (4 | 6)[] = [4, 6]) =>
  parseProxyHeader(Buffer.from(text, 'latin1'), families);
/** `address:port address:port`, or how it is malformed. */
function read(text: string): string | undefined {
  try {
    const found = parse(text);
    if (found === undefined) return undefined;
    const ends = found.endpoints;
    if (ends === undefined) return 'itself';
    return `${ends.clientAddress} ${ends.clientPort} ${ends.serverAddress} ${ends.serverPort}`;
  } catch (error) {
    assert.ok(error instanceof ProxyHeaderError);
    return error.message;
  }
}

const ports = [0x13, 0x88, 0, 25];
const group = (...groups: readonly number[]) => groups.flatMap((g) => [g >> 8, g & 0xff]);
const LOOPBACK = group(0, 0, 0, 0, 0, 0, 0, 1);
const HEADERS: Readonly<Record<string, string>> = {
  'PROXY TCP4 192.0.2.9 192.0.2.10 5000 25\r\n': '192.0.2.9 5000 192.0.2.10 25',
  'PROXY TCP6 2001:db8::1 ::1 5000 25\r\n': '2001:db8::1 5000 ::1 25',
  'PROXY TCP6 ::ffff:192.0.2.9 ::1 5000 25\n': '192.0.2.9 5000 ::1 25',
  [v2('\x20\x00')]: 'itself',
  [v2('\x21\x11', 192, 0, 2, 9, 192, 0, 2, 10, ...ports)]: '192.0.2.9 5000 192.0.2.10 25',
  [v2('\x21\x11', 192, 0, 2, 9, 192, 0, 2, 10, ...ports, 3, 0, 1, 7)]:
    '192.0.2.9 5000 192.0.2.10 25',
  [v2('\x21\x21', ...group(0x2001, 0xdb8, 0, 0, 1, 0, 0, 1), ...LOOPBACK, ...ports)]:
    '2001:db8::1:0:0:1 5000 ::1 25',
  [v2('\x21\x21', ...group(0xfe80, 0, 0, 0, 0, 0, 0, 0), ...LOOPBACK, ...ports)]:
    'fe80:: 5000 ::1 25',
  [v2('\x21\x21', ...group(1, 2, 3, 4, 5, 6, 7, 0), ...LOOPBACK, ...ports)]:
    '1:2:3:4:5:6:7:0 5000 ::1 25',
  [v2('\x21\x21', ...group(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x209), ...LOOPBACK, ...ports)]:
    '192.0.2.9 5000 ::1 25',
};

for (const [header, expected] of Object.entries(HEADERS)) {
  test(`${JSON.stringify(header)} tells of ${expected}, and not before its end`, () => {
    assert.equal(read(header), expected);
    assert.equal(parse(header + END)?.length, header.length);
    for (let length = 0; length < header.length; length += 1) {
      assert.equal(parse(header.slice(0, length)), undefined);
    }
  });
}

const MALFORMED: Readonly<Record<string, string>> = {
  'EHLO client.test\r\n': 'unrecognized protocol header',
  'PROXY\r\n': 'unrecognized protocol header',
  'PROXY UNKNOWN\r\n': 'bad or missing protocol type',
  'PROXY TCP4 192.0.2.9 ::1 5000 25\r\n': 'bad or missing server address',
  'PROXY TCP6 fe80::1%lo ::1 5000 25\r\n': 'bad or missing client address',
  'PROXY TCP4 192.0.2.9 192.0.2.10 -1 25\r\n': 'bad or missing client port',
  [`PROXY TCP4 ${'9'.repeat(PROXY_HEADER_MAX)}`]: 'missing protocol header terminator',
  [`${V2}\x21\x11\xff\xff`]: 'too long protocol header',
  [`${V2}\x11`]: 'unrecognized protocol version',
};

for (const [header, expected] of Object.entries(MALFORMED)) {
  test(`${JSON.stringify(header.slice(0, 40))} is malformed: ${expected}`, () => {
    const padded = header.startsWith(V2) ? header.padEnd(16, '\0') : header;
    assert.equal(read(padded), expected);
  });
}

test('whatever comes, there is a header, or none, or it has still to come', () => {
  const starts = fc.constantFrom('', 'PROXY ', 'PROXY TCP4 ', V2, `${V2}\x21\x11\0\x0c`);
  fc.assert(
    fc.property(starts, fc.uint8Array({ maxLength: 700 }), (start, rest) => {
      const text = start + Buffer.from(rest).toString('latin1');
      const found = read(text);
      if (found === undefined) assert.ok(text.length < PROXY_HEADER_MAX);
    }),
  );
});
