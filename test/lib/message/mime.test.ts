import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type MimeEvent, type MimeOptions, MimeParser } from '../../../lib/message/mime.ts';

const OPTIONS: MimeOptions = {
  disabled: false,
  nestingLimit: 100,
  boundaryLimit: 2048,
  headerLimit: 102_400,
  report: { nesting: true, eightBitHeader: false, eightBitBody: false, encodingDomain: false },
};

const STRICT = { nesting: true, eightBitHeader: true, eightBitBody: true, encodingDomain: true };

function run(lines: readonly string[], options: Partial<MimeOptions> = {}): string[] {
  const parser = new MimeParser({ ...OPTIONS, ...options });
  const events = [...lines.flatMap((line) => parser.line(line, false)), ...parser.end()];
  return events.map(describe);
}

function describe(event: MimeEvent): string {
  switch (event.kind) {
    case 'header':
      return `${event.of}: ${event.text}`;
    case 'headers-end':
      return 'end';
    case 'body':
      return `| ${event.text}`;
    case 'error':
      return `! ${event.error}`;
  }
}

const CASES: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
  'headers and body': [
    ['A: b', ' c', 'D: e', '', 'F: g'],
    ['primary: A: b\n c', 'primary: D: e', 'end', '| ', '| F: g'],
  ],
  'headers that nothing ends': [['A: b'], ['primary: A: b', 'end']],
  'a missing empty line': [
    ['A: b', 'text'],
    ['primary: A: b', 'end', '| ', '| text'],
  ],
  'nothing at all': [[], ['end']],
  parts: [
    ['Content-Type: multipart/mixed; boundary=x', '', 'p', '--x', 'A: b', '', 'c', '--x--', 'D: e'],
    [
      ...['primary: Content-Type: multipart/mixed; boundary=x', 'end', '| ', '| p', '| --x'],
      ...['part: A: b', '| ', '| c', '| --x--', '| D: e'],
    ],
  ],
  'a message in a message': [
    ['Content-Type: message/rfc822', '', 'A: b', '', 'c'],
    ['primary: Content-Type: message/rfc822', 'end', '| ', 'nested: A: b', '| ', '| c'],
  ],
  'a digest': [
    ['Content-Type: multipart/digest; boundary="x y"', '', '--x y', '', 'A: b', '', 'c'],
    [
      ...['primary: Content-Type: multipart/digest; boundary="x y"', 'end', '| ', '| --x y'],
      ...['| ', 'nested: A: b', '| ', '| c'],
    ],
  ],
  'part of a message is none': [
    ['Content-Type: message/partial', '', 'A: b'],
    ['primary: Content-Type: message/partial', 'end', '| ', '| A: b'],
  ],
  'an inner boundary that is missing': [
    [
      ...['Content-Type: multipart/mixed; boundary=o', '', '--o'],
      ...['Content-Type: multipart/mixed; boundary=i', '', '--i', '', 'c', '--o', 'A: b', '', 'd'],
    ],
    [
      ...['primary: Content-Type: multipart/mixed; boundary=o', 'end', '| ', '| --o'],
      ...['part: Content-Type: multipart/mixed; boundary=i', '| ', '| --i', '| ', '| c', '| --o'],
      ...['part: A: b', '| ', '| d'],
    ],
  ],
};

for (const [name, [lines, events]] of Object.entries(CASES)) {
  test(`MimeParser: ${name}`, () => {
    assert.deepEqual(run(lines), events);
  });
}

test('disable_mime_input_processing leaves parts alone', () => {
  const lines = ['Content-Type: multipart/mixed; boundary=x', '', '--x', 'A: b', '', 'c'];
  assert.ok(!run(lines, { disabled: true }).some((event) => event.startsWith('part:')));
});

test('comments, quotes and folds in Content-Type do not hide a boundary', () => {
  for (const type of [
    'multipart/mixed (what) ; boundary (is) = "\\x"',
    'MULTIPART/Mixed; a=b; BOUNDARY=x',
    'multipart/mixed;\n\tboundary="x"',
    'multipart/mixed; boundary=y; boundary=x',
  ]) {
    const events = run([...`Content-Type: ${type}`.split('\n'), '', '--x', 'A: b', '']);
    assert.ok(events.includes('part: A: b'), type);
  }
});

test('what is strict is reported', () => {
  const strict = { report: STRICT };
  assert.ok(run(['A: \xfc', ''], strict).includes('! eight-bit-header'));
  assert.ok(run(['A: b', '', '\xfc'], strict).includes('! eight-bit-body'));
  const declared = ['Content-Transfer-Encoding: 8bit', '', '\xfc'];
  assert.ok(!run(declared, strict).includes('! eight-bit-body'));
  const base64 = ['Content-Type: multipart/x; boundary=b', 'Content-Transfer-Encoding: base64', ''];
  assert.ok(run(base64, strict).includes('! encoding-domain'));
});

test('a header beyond its limit is cut, and told', () => {
  const events = run(['A: 123456', ' 78', 'B: c'], { headerLimit: 5 });
  assert.deepEqual(events.slice(0, 3), ['! header-length', 'primary: A: 12', 'primary: B: c']);
});

test('nesting has an end', () => {
  const lines = ['A: b'];
  for (let level = 0; level < 200; level += 1) {
    lines.push(`Content-Type: multipart/mixed; boundary=b${level}.`, '', `--b${level}.`);
  }
  assert.ok(run(lines, { nestingLimit: 10 }).includes('! nesting'));
});

test('every line comes out again, whatever the structure', () => {
  const line = fc.constantFrom(
    ...[
      '',
      'A: b',
      ' fold',
      'text',
      '--x',
      '--x--',
      '--y',
      '--y--',
      '\xfc',
      '-- ',
      'Content-Type: x',
    ],
    ...['Content-Type: multipart/mixed; boundary=x', 'Content-Type: multipart/digest; boundary=y'],
    ...['Content-Type: message/rfc822', 'Content-Transfer-Encoding: 8bit', 'Content-Type: "'],
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 40 }), (lines) => {
      const parser = new MimeParser({ ...OPTIONS, report: STRICT });
      const out: string[] = [];
      for (const event of [...lines.flatMap((one) => parser.line(one, false)), ...parser.end()]) {
        if (event.kind === 'header') out.push(...event.text.split('\n'));
        else if (event.kind === 'body') out.push(event.text);
      }
      // An empty line may be added, where headers end without one.
      assert.deepEqual(
        out.filter((text) => text !== ''),
        lines.filter((text) => text !== ''),
      );
    }),
    { numRuns: 1000 },
  );
});
