import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ContentReader,
  type ContentRules,
  type NewlineRule,
} from '../../../services/smtpd/content-reader.ts';
import { parseRecords } from '../../support/records.ts';

const LIMIT = 2048;

interface Read {
  /** `N:text` or `L:text`, one for each record. */
  readonly records: string[];
  readonly ended: boolean;
  readonly rest: string;
  readonly bare: boolean;
  readonly tooBig: boolean;
}

function read(pieces: readonly Buffer[], rules: Partial<ContentRules> = {}): Read {
  const reader = new ContentReader({
    newlines: 'normalize',
    lineBytesMax: LIMIT,
    sizeMax: 0,
    framing: 'dot',
    ...rules,
  });
  const collected: Buffer[] = [];
  let ended = false;
  let rest = '';
  for (const piece of pieces) {
    if (ended) {
      rest += piece.toString('latin1');
      continue;
    }
    const result = reader.push(piece);
    collected.push(result.records);
    ended = result.ended;
    rest += result.rest.toString('latin1');
  }
  const { hasBareLineFeed: bare, isTooBig: tooBig } = reader;
  return {
    records: parseRecords(Buffer.concat(collected)).map(([type, text]) => `${type}:${text}`),
    ended,
    rest,
    bare,
    tooBig,
  };
}

const text = (value: string) => [Buffer.from(value, 'latin1')];

const CASES: readonly {
  name: string;
  input: string;
  records: string[];
  ended: boolean;
  rest?: string;
}[] = [
  { name: 'an empty message', input: '.\r\n', records: [], ended: true },
  { name: 'a line', input: 'hello\r\n.\r\n', records: ['N:hello'], ended: true },
  { name: 'a stuffed dot', input: '..\r\n.\r\n', records: ['N:.'], ended: true },
  { name: 'a stuffed line', input: '..hello\r\n.\r\n', records: ['N:.hello'], ended: true },
  { name: 'an unstuffed dot', input: '.hello\r\n.\r\n', records: ['N:hello'], ended: true },
  {
    name: 'what follows',
    input: 'a\r\n.\r\nQUIT\r\n',
    records: ['N:a'],
    ended: true,
    rest: 'QUIT\r\n',
  },
  { name: 'several CRs', input: 'a\r\r\n.\r\n', records: ['N:a\r'], ended: true },
  { name: 'a bare CR', input: 'a\rb\r\n.\r\n', records: ['N:a\rb'], ended: true },
  {
    name: 'an empty line',
    input: 'a\r\n\r\nb\r\n.\r\n',
    records: ['N:a', 'N:', 'N:b'],
    ended: true,
  },
  {
    name: 'a first line that would continue our header',
    input: ' a\r\n.\r\n',
    records: ['N:', 'N: a'],
    ended: true,
  },
  {
    name: 'an mbox separator',
    input: 'From ann Sat\r\nb\r\n.\r\n',
    records: ['N:X-Mailbox-Line: From ann Sat', 'N:b'],
    ended: true,
  },
  { name: 'no end', input: 'a\r\nb', records: ['N:a'], ended: false },
];

for (const { name, input, records, ended, rest = '' } of CASES) {
  test(`ContentReader takes ${name}`, () => {
    const found = read(text(input));
    assert.deepEqual(
      { ...found, bare: false },
      { records, ended, rest, bare: false, tooBig: false },
    );
  });
}

for (const [length, shape] of [
  [LIMIT - 1, ['N2047']],
  [LIMIT, ['L2048', 'N0']],
  [LIMIT + 1, ['L2048', 'N1']],
  [2 * LIMIT, ['L2048', 'L2048', 'N0']],
] as const) {
  test(`a line of ${length} bytes becomes ${shape.join(' ')}`, () => {
    const { records } = read(text(`${'x'.repeat(length)}\r\n.\r\n`));
    assert.deepEqual(
      records.map((record) => `${record[0]}${record.length - 2}`),
      shape,
    );
  });
}

/** Every way to end a line around a lone dot: only CR LF . CR LF may end a stranger's message. */
const ENDINGS: Readonly<Record<string, Readonly<Record<NewlineRule, boolean>>>> = {
  '\r\n.\r\n': { accept: true, normalize: true, reject: true },
  '\n.\r\n': { accept: true, normalize: false, reject: false },
  '\r\n.\n': { accept: true, normalize: false, reject: false },
  '\n.\n': { accept: true, normalize: false, reject: false },
  '\r\r\n.\r\n': { accept: true, normalize: true, reject: true },
  '\r\n.\r\r\n': { accept: true, normalize: false, reject: false },
  '\r.\r\n': { accept: false, normalize: false, reject: false },
  '\r.\r': { accept: false, normalize: false, reject: false },
};

for (const [ending, rules] of Object.entries(ENDINGS)) {
  for (const [rule, ends] of Object.entries(rules)) {
    test(`${JSON.stringify(ending)} ${ends ? 'ends' : 'does not end'} a message under ${rule}`, () => {
      const { ended } = read(text(`body${ending}`), { newlines: rule as NewlineRule });
      assert.equal(ended, ends);
    });
  }
}

test('a bare line feed is noticed where it is refused', () => {
  assert.equal(read(text('a\nb\r\n.\r\n'), { newlines: 'reject' }).bare, true);
  assert.equal(read(text('a\r\nb\r\n.\r\n'), { newlines: 'reject' }).bare, false);
});

test('a dropped lone dot leaves no line behind', () => {
  assert.deepEqual(read(text('a\n.\nb\r\n.\r\n')).records, ['N:a', 'N:b']);
});

test('content beyond the limit is read to its end, and dropped', () => {
  const found = read(text(`${'0123456789\r\n'.repeat(10)}.\r\n`), { sizeMax: 50 });
  assert.equal(found.ended, true);
  assert.equal(found.tooBig, true);
  assert.equal(found.records.length, 4);
});

test('it does not matter how the input was cut', () => {
  const byte = fc.constantFrom(...Buffer.from('\r\n\r\n..ab From\t '));
  fc.assert(
    fc.property(
      fc.array(byte, { maxLength: 60 }),
      fc.array(fc.nat(60), { maxLength: 6 }),
      fc.constantFrom<NewlineRule>('accept', 'normalize', 'reject'),
      (bytes, cuts, newlines) => {
        const whole = Buffer.from([...bytes, ...Buffer.from('\r\n.\r\nQUIT')]);
        const places = [0, ...cuts.filter((cut) => cut < whole.length), whole.length];
        places.sort((a, b) => a - b);
        const pieces = places.slice(1).map((end, at) => whole.subarray(places[at] ?? 0, end));
        const rules = { newlines, lineBytesMax: 5 };
        assert.deepEqual(read(pieces, rules), read([whole], rules));
      },
    ),
    { numRuns: 2000 },
  );
});
