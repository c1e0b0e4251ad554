import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseExtensions, sizeLimit } from '../../../lib/smtp/extensions.ts';
import { formatReply, quoteReply, reply, statusOf } from '../../../lib/smtp/reply.ts';
import { ReplyParser } from '../../../lib/smtp/reply-parser.ts';

function parse(text: string, lineLimit = 2048) {
  const parser = new ReplyParser({ lineLimit });
  parser.push(Buffer.from(text));
  const found = [];
  for (let next = parser.next(); next !== undefined; next = parser.next()) found.push(next);
  return found;
}

test('a reply of one line', () => {
  const [found] = parse('250 2.1.0 Ok\r\n');
  assert.deepEqual(found?.reply, { code: 250, status: '2.1.0', lines: ['2.1.0 Ok'] });
});

test('a reply of many lines, with one CR, without, with more', () => {
  const [found] = parse('250-first\n250-second\r\n250-third\r\r\n250 fourth\n');
  assert.deepEqual(found?.reply.lines, ['first', 'second', 'third', 'fourth']);
});

test('a reply may be a bare code', () => {
  assert.deepEqual(parse('250\r\n')[0]?.reply, { code: 250, status: '', lines: [''] });
});

test('several replies in one packet, and one that is not whole yet', () => {
  const parser = new ReplyParser({ lineLimit: 2048 });
  parser.push(Buffer.from('250 a\r\n550 b\r\n354'));
  assert.equal(parser.next()?.reply.code, 250);
  assert.equal(parser.next()?.reply.code, 550);
  assert.equal(parser.next(), undefined);
  assert.ok(parser.hasPending);
  parser.push(Buffer.from(' go\r\n'));
  assert.equal(parser.next()?.reply.code, 354);
  assert.ok(!parser.hasPending);
});

test('what is no reply is skipped and told of', () => {
  const [found] = parse('hello\r\n25 x\r\n2500 x\r\n250 Ok\r\n');
  assert.equal(found?.reply.code, 250);
  assert.deepEqual(found?.garbage, ['hello', '25 x', '2500 x']);
});

test('a line over the limit is cut, and its rest not taken for a reply', () => {
  const [found, ...more] = parse(`250 ${'x'.repeat(5000)}\r\n`, 100);
  assert.equal(found?.reply.lines[0]?.length, 96);
  assert.ok(found?.truncated);
  assert.deepEqual(more, []);
});

test('a reply of endless lines is kept up to the limit', () => {
  const [found] = parse(`${'550-some more text\r\n'.repeat(10_000)}550 end\r\n`, 200);
  assert.equal(found?.reply.code, 550);
  assert.ok((found?.reply.lines.length ?? 0) < 15);
});

test('control characters of a server never get any further', () => {
  assert.equal(parse('550 a\x1b[2Jb\tc\r\n')[0]?.reply.lines[0], 'a?[2Jb?c');
});

test('a reply parses the same however the network cuts it', () => {
  const text = 'junk\r\n250-2.1.5 one\r\n250 two\r\n451 4.3.0 three\r\n';
  const whole = parse(text);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), (size) => {
      const parser = new ReplyParser({ lineLimit: 2048 });
      const found = [];
      for (let at = 0; at < text.length; at += size) {
        parser.push(Buffer.from(text.slice(at, at + size)));
        for (let next = parser.next(); next !== undefined; next = parser.next()) found.push(next);
      }
      assert.deepEqual(found, whole);
    }),
  );
});

test('no bytes make the parser throw or loop', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
      const parser = new ReplyParser({ lineLimit: 20 });
      parser.push(Buffer.from(bytes));
      while (parser.next() !== undefined);
    }),
  );
});

const STATUSES: [code: number, text: string, status: string][] = [
  [550, '5.1.1 User unknown', '5.1.1'],
  [550, '4.1.1 User unknown', ''],
  [250, '2.0.0', '2.0.0'],
  [550, '5.1.1x', ''],
  [550, '5.1 x', ''],
  [550, 'User unknown', ''],
];
for (const [code, text, status] of STATUSES) {
  test(`the status of ${code} ${text} is ${JSON.stringify(status)}`, () => {
    assert.equal(statusOf(code, text), status);
  });
}

test('replies are written as they are read', () => {
  const wire = '250-a.example\r\n250-PIPELINING\r\n250 DSN\r\n';
  assert.equal(formatReply(parse(wire)[0]?.reply ?? reply('500 no')), wire);
  assert.equal(formatReply(reply('250 2.0.0 Ok')), '250 2.0.0 Ok\r\n');
  assert.equal(quoteReply(reply('550-a\n550 b')), '550-a\n550 b');
  assert.equal(quoteReply(reply('550')), '550');
});

test('EHLO tells what a server can do', () => {
  const offer = reply(
    '250-mx.example Hello\n250-SIZE 1000\n250-auth=LOGIN\n250-AUTH PLAIN\n250 dsn',
  );
  const found = parseExtensions(offer, new Set(['dsn']));
  assert.deepEqual(
    [...found],
    [
      ['SIZE', ['1000']],
      ['AUTH', ['LOGIN', 'PLAIN']],
    ],
  );
  assert.equal(sizeLimit(found), 1000);
  assert.equal(sizeLimit(parseExtensions(reply('250-a\n250 SIZE x'), new Set())), 0);
});
