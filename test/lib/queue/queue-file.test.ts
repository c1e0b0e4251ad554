import assert from 'node:assert/strict';
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { QueueFile } from '../../../lib/queue/queue-file.ts';
import { QueueFileBusyError, QueueFileError } from '../../../lib/queue/queue-file-error.ts';
import { formatRecord } from '../../../lib/queue/record.ts';
import { atEnd } from '../../support/cleanup.ts';
import { GOLDEN, GOLDEN_FILES } from './golden.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'queue-file-'));
  atEnd(t, () => rmSync(path, { recursive: true }));
  return path;
}

/** The lines that postcat printed between two markers. */
function section(name: string, from: string, to: string): string[] {
  const lines = readFileSync(join(GOLDEN, `${name}.txt`), 'latin1').split('\n');
  const start = lines.findIndex((line) => line.startsWith(`*** ${from}`));
  return lines.slice(
    start + 1,
    lines.findIndex((line) => line.startsWith(`*** ${to}`)),
  );
}

for (const name of GOLDEN_FILES) {
  test(`the content of Postfix's file ${name} is read as postcat reads it`, async () => {
    using file = QueueFile.open(join(GOLDEN, name));
    const parts: Buffer[] = [];
    for await (const part of file.content()) parts.push(part);
    const text = Buffer.concat(parts).toString('latin1');
    const expected = section(name, 'MESSAGE CONTENTS', 'HEADER EXTRACTED').join('\n');
    assert.equal(text.replace(/\n$/, ''), expected);
    assert.deepEqual(Buffer.concat([...file.contentSync()]), Buffer.concat(parts));
    const crlf = Buffer.concat([...file.contentSync({ lineEnd: '\r\n' })]);
    assert.equal(crlf.toString('latin1'), text.replaceAll('\n', '\r\n'));
  });

  test(`the recipients of Postfix's file ${name} are read as postcat reads them`, () => {
    using file = QueueFile.open(join(GOLDEN, name));
    const envelope = file.envelope();
    const lines = [
      ...section(name, 'ENVELOPE RECORDS', 'MESSAGE CONTENTS'),
      ...section(name, 'HEADER EXTRACTED', 'MESSAGE FILE END'),
    ];
    const values = (label: string) =>
      lines
        .filter((line) => line.startsWith(`${label}: `))
        .map((line) => line.slice(label.length + 2));
    assert.deepEqual(
      envelope.recipients.map(({ address }) => address),
      values('recipient'),
    );
    assert.deepEqual([envelope.sender], values('sender'));
    assert.equal(
      envelope.doneCount,
      values('done_recipient').length + values('canceled_recipient').length,
    );
  });
}

test('all that an envelope can say is found', () => {
  using dsn = QueueFile.open(join(GOLDEN, 'dsn'));
  const envelope = dsn.envelope();
  assert.deepEqual(envelope.size, {
    storedBytes: 292,
    contentOffset: 808,
    recipientCount: 2,
    flags: 12,
    contentBytes: 292,
    sendOptions: 0,
  });
  assert.equal(envelope.envelopeId, 'QQ314159');
  assert.equal(envelope.returnFlags, 2);
  assert.equal(envelope.attributes.get('encoding'), '8bit');
  assert.equal(envelope.warnTime - envelope.createTime, 4 * 3600);
  assert.equal(envelope.arrivalTime?.seconds, envelope.createTime);
  const [bob, hold] = envelope.recipients;
  assert.deepEqual(
    { ...bob, offset: 0 },
    {
      original: 'bob@hold.test',
      address: 'bob@hold.test',
      offset: 0,
      dsnOriginal: 'rfc822;Bob@hold.test',
      notify: 6,
    },
  );
  assert.equal(hold?.notify, 0);
  using filtered = QueueFile.open(join(GOLDEN, 'filter-redirect'));
  assert.equal(filtered.envelope().contentFilter, 'smtp:[127.0.0.1]:3131');
  assert.equal(filtered.envelope().redirect, 'elsewhere@ok.test');
  using verp = QueueFile.open(join(GOLDEN, 'verp'));
  assert.equal(verp.envelope().verpDelimiters, '+=');
});

for (const name of ['dsn', 'milter', 'milter-third-recipient', 'deferred'] as const) {
  test(`the recipients of ${name} come in batches of any size`, () => {
    using file = QueueFile.open(join(GOLDEN, name));
    const all = file.envelope().recipients;
    for (let limit = 1; limit <= all.length + 1; limit += 1) {
      const first = file.envelope(limit);
      const found = [...first.recipients];
      assert.ok(first.size);
      for (let at = first.moreAt; at !== undefined; ) {
        const batch = file.recipients(at, limit, first.size);
        assert.ok(batch.recipients.length > 0 && batch.recipients.length <= limit);
        found.push(...batch.recipients);
        at = batch.moreAt;
      }
      assert.deepEqual(found, all);
    }
  });
}

test('a mark changes one byte, and only of a recipient', (t) => {
  const path = join(folder(t), 'message');
  copyFileSync(join(GOLDEN, 'dsn'), path);
  const before = readFileSync(path);
  using file = QueueFile.open(path, { write: true });
  const [bob] = file.envelope().recipients;
  assert.ok(bob);
  file.markDone(bob.offset);
  file.markDone(bob.offset);
  const after = readFileSync(path);
  assert.equal(String.fromCharCode(after[bob.offset] ?? 0), 'D');
  after[bob.offset] = before[bob.offset] ?? 0;
  assert.deepEqual(after, before);
  for (const offset of [0, 97, bob.offset + 1, before.length, before.length + 100, -1]) {
    assert.throws(() => file.markDone(offset), QueueFileError, `offset ${offset}`);
  }
  assert.equal(file.envelope().recipients.length, 1);
});

test('a warning that was sent is written down in place', (t) => {
  const path = join(folder(t), 'message');
  copyFileSync(join(GOLDEN, 'dsn'), path);
  using file = QueueFile.open(path, { write: true });
  file.markWarned(file.envelope().warnOffset);
  assert.equal(file.envelope().warnTime, -1);
  assert.equal(file.envelope().recipients.length, 2);
});

test('locks of others are respected', (t) => {
  const path = join(folder(t), 'message');
  copyFileSync(join(GOLDEN, 'dsn'), path);
  using agent = QueueFile.open(path, { write: true, lock: 'shared' });
  QueueFile.open(path, { lock: 'shared' }).close();
  assert.throws(() => QueueFile.open(path, { lock: 'exclusive' }), QueueFileBusyError);
  agent.close();
  QueueFile.open(path, { lock: 'exclusive' }).close();
});

test('only regular files are opened', (t) => {
  const path = folder(t);
  symlinkSync(join(GOLDEN, 'dsn'), join(path, 'link'));
  assert.throws(() => QueueFile.open(join(path, 'link')), { code: 'ELOOP' });
  assert.throws(() => QueueFile.open(path), QueueFileError);
  assert.throws(() => QueueFile.open(join(path, 'none')), { code: 'ENOENT' });
});

/** The smallest useful file: queue.md 3.4. */
function smallFile(changes: { size?: string; skip?: string; insert?: Buffer } = {}): Buffer {
  const records: [string, string][] = [
    [
      'C',
      changes.size ??
        '             38             137               1               0              38               0',
    ],
    ['T', '1700000000 5'],
    ['S', 'al@x.test'],
    ['R', 'bob@ok.test'],
    ['M', ''],
    ['N', 'Received: by hand'],
    ['N', 'Subject: hi'],
    ['N', ''],
    ['N', 'yo'],
    ['X', ''],
    ['E', ''],
  ];
  const wanted = records.filter(([type]) => type !== changes.skip);
  const parts = wanted.map(([type, data]) => formatRecord(type, data));
  if (changes.insert !== undefined) parts.splice(3, 0, changes.insert);
  return Buffer.concat(parts);
}

/** What queue.md 3.10 calls a fault, and what is none. */
const DAMAGED: [string, Buffer, RegExp | undefined][] = [
  ['nothing wrong', smallFile(), undefined],
  ['three narrow size fields', smallFile({ size: '38 137 1'.padEnd(95) }), undefined],
  ['a wrong recipient count', smallFile({ size: '38 137 7 0 38 0'.padEnd(95) }), undefined],
  ['no end', smallFile({ skip: 'E' }), /missing end record/],
  ['no content end', smallFile({ skip: 'X' }), /unexpected record type 'E' at offset 175/],
  ['empty', Buffer.alloc(0), /missing end record/],
  ['cut', smallFile().subarray(0, 150), /record|end/],
  ['a wrong content size', smallFile({ size: '39 137 1 0 38 0'.padEnd(95) }), /record/],
  [
    'a wrong content offset',
    smallFile({ size: '38 136 1 0 38 0'.padEnd(95) }),
    /content is not at/,
  ],
  [
    'a content size of zero',
    smallFile({ size: '0 137 1 0 0 0'.padEnd(95) }),
    /invalid size record/,
  ],
  [
    'unknown flags',
    smallFile({ size: '38 137 1 32 38 0'.padEnd(95) }),
    /invalid flags in size record/,
  ],
  [
    'an unknown type',
    smallFile({ insert: formatRecord('z', 'x') }),
    /unexpected record type 'z' at offset 122/,
  ],
  [
    'an attribute without value',
    smallFile({ insert: formatRecord('A', 'x') }),
    /missing '=' after attribute name/,
  ],
  ['a pointer loop', smallFile({ insert: formatRecord('p', '97'.padStart(15)) }), /loop/],
  [
    'a pointer to nowhere',
    smallFile({ insert: formatRecord('p', '9999'.padStart(15)) }),
    /past the end/,
  ],
  [
    'a pointer that is no number',
    smallFile({ insert: formatRecord('p', '0x97') }),
    /malformed pointer/,
  ],
  [
    'a length of five bytes',
    smallFile({ insert: Buffer.from('A\x80\x80\x80\x80\x01', 'latin1') }),
    /length/,
  ],
];

for (const [what, bytes, expected] of DAMAGED) {
  test(`a file with ${what} is ${expected === undefined ? 'accepted' : 'corrupt'}`, (t) => {
    const path = join(folder(t), 'message');
    writeFileSync(path, bytes);
    using file = QueueFile.open(path);
    if (expected === undefined) {
      assert.equal(file.envelope().recipients[0]?.offset, 122);
      return;
    }
    assert.throws(
      () => file.envelope(),
      (error) => {
        assert.ok(error instanceof QueueFileError);
        assert.match(error.message, expected);
        assert.equal(error.path, path);
        return true;
      },
    );
  });
}

test('no damage makes a reader hang or crash', async (t) => {
  const path = join(folder(t), 'message');
  const goldens = GOLDEN_FILES.map((name) => readFileSync(join(GOLDEN, name)));
  const change = fc.record({
    golden: fc.nat(goldens.length - 1),
    edits: fc.array(fc.tuple(fc.nat(2500), fc.uint8Array({ minLength: 1, maxLength: 6 })), {
      maxLength: 4,
    }),
    length: fc.option(fc.nat(2500)),
  });
  await fc.assert(
    fc.asyncProperty(change, async ({ golden, edits, length }) => {
      const bytes = Buffer.from(goldens[golden] ?? '');
      for (const [at, data] of edits)
        bytes.set(data.subarray(0, Math.max(0, bytes.length - at)), Math.min(at, bytes.length));
      writeFileSync(path, length === null ? bytes : bytes.subarray(0, length));
      using file = QueueFile.open(path);
      await harmless(async () => {
        const { size, moreAt } = file.envelope(1);
        if (size !== undefined && moreAt !== undefined) file.recipients(moreAt, 1, size);
      });
      await harmless(async () => {
        for await (const _ of file.content()) void _;
      });
      await harmless(async () => {
        const reader = file.records(0, { raw: true });
        while (reader.next());
      });
    }),
    { numRuns: 1500 },
  );
});

async function harmless(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    assert.ok(error instanceof QueueFileError, String(error));
  }
}

test('a file larger than a window is read piece by piece', async (t) => {
  const path = join(folder(t), 'message');
  const line = 'x'.repeat(1000);
  const content = Buffer.concat(Array.from({ length: 300 }, () => formatRecord('N', line)));
  const recipients = Buffer.concat(
    Array.from({ length: 5000 }, (_, index) => formatRecord('R', `user${index}@ok.test`)),
  );
  const start = 97 + 9 + recipients.length + 2;
  const size = [content.length, start, 5000, 0, content.length, 0].map((n) =>
    String(n).padStart(15),
  );
  writeFileSync(
    path,
    Buffer.concat([
      formatRecord('C', size.join(' ')),
      formatRecord('T', '1700000'),
      recipients.subarray(0, 0),
      recipients,
      formatRecord('M'),
      content,
      formatRecord('X'),
      formatRecord('S', 'a@b.test'),
      formatRecord('E'),
    ]),
  );
  using file = QueueFile.open(path);
  assert.equal(file.envelope().recipients.length, 5000);
  assert.equal(file.envelope().recipients[4999]?.address, 'user4999@ok.test');
  let bytes = 0;
  for await (const part of file.content()) {
    assert.ok(part.length < 70_000);
    bytes += part.length;
  }
  assert.equal(bytes, 300 * 1001);
});
