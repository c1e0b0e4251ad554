import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Attribute, formatAttributes } from '../../../lib/ipc/attributes.ts';
import { IpcError } from '../../../lib/ipc/error.ts';
import { data, hash, int, long, type Shape, str } from '../../../lib/ipc/fields.ts';
import { Input } from '../../../lib/ipc/input.ts';
import {
  ATTRIBUTES_MAX,
  HASH_ENTRIES_MAX,
  ListReader,
  NAME_BYTES_MAX,
  type ReadOptions,
  VALUE_BYTES_MAX,
} from '../../../lib/ipc/list-reader.ts';
import { wire } from './wire.ts';

/** Feeds chunks to a reader. @returns the values and what is left over; `undefined`: incomplete */
function read(
  shape: Shape,
  chunks: readonly Buffer[],
  options: ReadOptions = {},
  form: 'null' | 'plain' = 'null',
): { values: Record<string, unknown>; rest: string } | undefined {
  const reader = new ListReader(shape, options, form, 'private/x socket');
  const input = new Input();
  let complete = false;
  for (const chunk of chunks) {
    input.append(chunk);
    complete ||= reader.read(input);
  }
  if (!complete) return undefined;
  return { values: reader.values, rest: input.takeAll().toString('latin1') };
}

const REPLY = { status: int, reason: str };
const TWO_FLAGS = { server: int.named('flags'), address: str, flags: int };
const DIALECTS = { options: int.named('smtputf8', 'sendopts'), sender: str };
const OPTIONAL = { table: str, instance: int.named('instance_flags').orMissing(), flags: int };

const READ: [string, Shape, ReadOptions, string, Record<string, unknown>, string][] = [
  ['a reply', REPLY, {}, 'status␀0␀reason␀␀␀', { status: 0, reason: '' }, ''],
  ['-1', { status: int }, {}, 'status␀4294967295␀␀', { status: -1 }, ''],
  ['-1 written so', { status: int }, {}, 'status␀-1␀␀', { status: -1 }, ''],
  ['-2', { status: int }, {}, 'status␀4294967294␀␀', { status: -2 }, ''],
  ['-1 of 64 bits', { offset: long }, {}, 'offset␀18446744073709551615␀␀', { offset: -1 }, ''],
  ['a long', { time: long }, {}, 'time␀1795302679␀␀', { time: 1795302679 }, ''],
  [
    'two attributes of one name, by position',
    TWO_FLAGS,
    {},
    'flags␀0␀address␀a@b␀flags␀4096␀␀',
    { server: 0, address: 'a@b', flags: 4096 },
    '',
  ],
  ['the old name', DIALECTS, {}, 'smtputf8␀1␀sender␀␀␀', { options: 1, sender: '' }, ''],
  ['the new name', DIALECTS, {}, 'sendopts␀16␀sender␀␀␀', { options: 16, sender: '' }, ''],
  ['without an optional one', OPTIONAL, {}, 'table␀t␀flags␀1␀␀', { table: 't', flags: 1 }, ''],
  [
    'with an optional one',
    OPTIONAL,
    {},
    'table␀t␀instance_flags␀2␀flags␀1␀␀',
    { table: 't', instance: 2, flags: 1 },
    '',
  ],
  [
    'past extra attributes',
    REPLY,
    { extra: true },
    'new␀1␀status␀0␀newer␀2␀reason␀why␀newest␀3␀␀next',
    { status: 0, reason: 'why' },
    'next',
  ],
  ['what there is', REPLY, { missing: true }, 'reason␀why␀␀', { reason: 'why' }, ''],
  ['a list that goes on', { size: int }, { more: true }, 'size␀1␀name␀', { size: 1 }, 'name\0'],
  ['bytes', { seed: data }, {}, 'seed␀AP8Q␀␀', { seed: Buffer.from([0, 255, 16]) }, ''],
  [
    'a hash',
    { size: int, macros: hash, state: int },
    {},
    'size␀2␀{␀i␀ABC␀j␀␀}␀state␀4␀␀',
    {
      size: 2,
      macros: new Map([
        ['i', 'ABC'],
        ['j', ''],
      ]),
      state: 4,
    },
    '',
  ],
];
for (const [what, shape, options, text, values, rest] of READ) {
  test(`it reads ${what}, in one piece and byte by byte`, () => {
    assert.deepEqual(read(shape, [wire(text)], options), { values, rest });
    const bytes = [...wire(text)].map((byte) => Buffer.from([byte]));
    assert.deepEqual(read(shape, bytes, options), { values, rest });
  });
}

const many = (count: number) =>
  formatAttributes(Array.from({ length: count }, (_, at): Attribute => [`n${at}`, 'x']));
const bigHash = (count: number) =>
  formatAttributes([['', new Map(Array.from({ length: count }, (_, at) => [`n${at}`, 'x']))]]);

const REFUSED: [string, Shape, ReadOptions, string | Buffer, RegExp][] = [
  ['a missing one', REPLY, {}, 'status␀0␀␀', /^missing attribute reason in input from private\/x/],
  ['nothing at all', REPLY, {}, '␀', /^missing attribute status/],
  [
    'another one',
    REPLY,
    {},
    'status␀0␀why␀x␀␀',
    /^unexpected attribute why from private\/x socket \(expecting: reason\)$/,
  ],
  [
    'one too many',
    REPLY,
    {},
    'status␀0␀reason␀␀more␀x␀␀',
    /^unexpected attribute more from .* \(expecting: \(list terminator\)\)$/,
  ],
  ['a bad number', REPLY, {}, 'status␀zero␀', /^malformed numerical data .* while reading status$/],
  ['an empty number', REPLY, {}, 'status␀␀', /^malformed numerical/],
  ['33 bits', REPLY, {}, 'status␀4294967296␀', /^malformed numerical/],
  ['11 digits', REPLY, {}, 'status␀00000000000␀', /^malformed numerical/],
  ['65 bits', { a: long }, {}, 'a␀18446744073709551616␀', /^malformed numerical/],
  ['an inexact long', { a: long }, {}, 'a␀9007199254740993␀', /^malformed numerical/],
  ['bad base64', { a: data }, {}, 'a␀A*8Q␀', /^malformed base64 data/],
  ['a long name', REPLY, {}, 'n'.repeat(NAME_BYTES_MAX + 1), /^attribute name too long \(nnn/],
  [
    'a long value',
    REPLY,
    { extra: true },
    `x␀${'v'.repeat(VALUE_BYTES_MAX + 1)}`,
    /^value too long of attribute x/,
  ],
  [
    'a long list',
    REPLY,
    { extra: true },
    `x␀${'v'.repeat(VALUE_BYTES_MAX)}␀`.repeat(6),
    /^attribute list too long/,
  ],
  ['many', REPLY, { extra: true }, many(ATTRIBUTES_MAX * 3), /^too many attributes/],
  ['a big hash', { h: hash }, {}, bigHash(HASH_ENTRIES_MAX + 1), /^too many entries in a hash/],
  ['a hash twice the same', { h: hash }, {}, '{␀a␀1␀a␀2␀}␀␀', /^duplicate attribute a in a hash/],
  ['an open hash', { h: hash }, {}, '{␀a␀1␀␀', /^unexpected end of a hash/],
  ['control characters', REPLY, {}, 'a\x1b[2Jb␀x␀', /^unexpected attribute a\?\[2Jb from/],
];
for (const [what, shape, options, bytes, message] of REFUSED) {
  test(`it refuses ${what}`, () => {
    const chunk = typeof bytes === 'string' ? wire(bytes) : bytes;
    assert.throws(
      () => read(shape, [chunk], options),
      (error) => error instanceof IpcError && message.test(error.message),
    );
  });
}

test('the plain form: names end at the first =', () => {
  const shape = { action: str };
  const bytes = wire('action=PREPEND X-Note: a=b␤␤');
  const expected = { values: { action: 'PREPEND X-Note: a=b' }, rest: '' };
  assert.deepEqual(read(shape, [bytes], {}, 'plain'), expected);
  assert.throws(() => read(shape, [wire('action␤␤')], {}, 'plain'), /malformed attribute action/);
});

const anyText = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'));

test('whatever is formatted is read back, however it is cut into pieces', () => {
  const shape = { a: str, b: int, c: long, d: data, e: str };
  fc.assert(
    fc.property(
      anyText,
      fc.integer(),
      fc.maxSafeInteger(),
      fc.uint8Array({ maxLength: 200 }),
      anyText,
      fc.array(fc.nat(400), { maxLength: 5 }),
      (a, b, c, bytes, e, cuts) => {
        const d = Buffer.from(bytes);
        const list = formatAttributes([
          ['a', a],
          ['b', b],
          ['c', BigInt(c)],
          ['d', d],
          ['e', e],
        ]);
        const bounds = [0, ...cuts.sort((x, y) => x - y), list.length];
        const chunks = bounds.slice(1).map((end, at) => list.subarray(bounds[at], end));
        assert.deepEqual(read(shape, chunks), { values: { a, b, c, d, e }, rest: '' });
      },
    ),
  );
});

test('bytes of any kind are read, refused, or wait for more; nothing else is thrown', () => {
  const shapes: Shape[] = [REPLY, TWO_FLAGS, DIALECTS, OPTIONAL, { a: hash, status: data }];
  const words = ['status', 'reason', 'flags', '{', '}', '0', '-1', '\0', '=', '\n', ''];
  const noise = fc
    .array(fc.oneof(fc.constantFrom(...words), fc.string()), { maxLength: 40 })
    .map((parts) => Buffer.from(parts.join('\0')));
  fc.assert(
    fc.property(
      fc.constantFrom(...shapes),
      fc.array(fc.oneof(noise, fc.uint8Array().map(Buffer.from)), { maxLength: 6 }),
      fc.record({ extra: fc.boolean(), missing: fc.boolean(), more: fc.boolean() }),
      fc.constantFrom('null' as const, 'plain' as const),
      (shape, chunks, options, form) => {
        try {
          read(shape, chunks as Buffer[], options, form);
        } catch (error) {
          assert(error instanceof IpcError, String(error));
        }
      },
    ),
    { numRuns: 3000 },
  );
});
