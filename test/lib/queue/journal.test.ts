/** The journal: what goes in, what a power cut leaves of it, and what is made from that. */
import assert from 'node:assert/strict';
import fs, {
  chmodSync,
  closeSync,
  existsSync,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { monotonic } from '../../../lib/clock/clock.ts';
import { flock } from '../../../lib/os/locks.ts';
import { Journal } from '../../../lib/queue/journal.ts';
import { formatEntry, type JournalEntry, parseEntries } from '../../../lib/queue/journal-entry.ts';
import { recoverJournals } from '../../../lib/queue/journal-recovery.ts';
import { DEFAULT_HASHING } from '../../../lib/queue/queue-path.ts';
import { RECORD } from '../../../lib/queue/record.ts';
import { RecordWriter } from '../../../lib/queue/record-writer.ts';
import { eventually } from '../../support/condition.ts';
import { standInQueue } from './queue-directory.ts';

const BOOT = 'this start';
const ID = '12345ABCDEF';

function queueFile(text: string): Buffer {
  const writer = new RecordWriter();
  writer.record(RECORD.sender, 'ann@example.com');
  writer.record(RECORD.recipient, 'bob@example.com');
  writer.record(RECORD.message);
  writer.record(RECORD.text, text);
  writer.record(RECORD.end);
  return writer.take();
}

function openJournal({ heldMax = 100 }: { heldMax?: number } = {}) {
  const warnings: string[] = [];
  const journal = new Journal({ boot: BOOT, heldMax, warn: (text) => warnings.push(text) });
  return { journal, warnings };
}

/** Makes a queue file as cleanup does, and gives it to the journal. */
async function append(journal: Journal, id: string, bytes: Buffer): Promise<string> {
  const path = `incoming/${id}`;
  writeFileSync(path, bytes, { mode: 0o600 });
  const fd = openSync(path, 'r+');
  await journal.append({ fd, path, bytes, complete: () => fchmodSync(fd, 0o700) });
  assert.equal(statSync(path).mode & 0o777, 0o700);
  return path;
}

function entriesOf(path: string): JournalEntry[] {
  return [...parseEntries(readFileSync(path))];
}

function segments(): string[] {
  return readdirSync('journal').map((name) => `journal/${name}`);
}

function segment(entries: readonly JournalEntry[], generation = 1): Buffer {
  return Buffer.concat(entries.flatMap((entry) => formatEntry(entry, generation)));
}

const ENTRIES: readonly JournalEntry[] = [
  { kind: 'start', boot: BOOT },
  { kind: 'message', sequence: 1, path: `incoming/${ID}`, bytes: queueFile('Grüße') },
  { kind: 'settled', sequences: [1, 2 ** 40] },
  { kind: 'message', sequence: 3, path: 'hold/A', bytes: Buffer.alloc(0) },
];

test('entries are read as they were written, up to the first that is not whole', () => {
  const bytes = segment(ENTRIES);
  const ends = ENTRIES.map((_, index) => segment(ENTRIES.slice(0, index + 1)).length);
  for (let length = 0; length <= bytes.length; length += 1) {
    const whole = ends.filter((end) => end <= length).length;
    const found = [...parseEntries(bytes.subarray(0, length))];
    assert.deepEqual(found, ENTRIES.slice(0, whole), `${length} bytes`);
    // A block that never reached the disk.
    const torn = Buffer.concat([
      bytes.subarray(0, length),
      Buffer.alloc(bytes.length - length, 0xff),
    ]);
    assert.deepEqual(
      [...parseEntries(torn)],
      ENTRIES.slice(0, whole),
      `${length} bytes, then others`,
    );
  }
});

test('what a segment had before it was used again is not read', () => {
  const old = segment(ENTRIES, 1);
  const young = segment([{ kind: 'start', boot: BOOT }], 2);
  const overwritten = Buffer.concat([young, old.subarray(young.length)]);
  assert.deepEqual([...parseEntries(overwritten)], [ENTRIES[0]]);
  assert.deepEqual([...parseEntries(segment(ENTRIES.slice(1)))], []);
});

test('damage of any kind ends the reading, and nothing else', () => {
  const bytes = segment(ENTRIES);
  for (let at = 0; at < bytes.length; at += 1) {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0xff, at);
    assert.ok([...parseEntries(damaged)].length < ENTRIES.length, `byte ${at}`);
  }
});

test('messages that come together are all in the journal when they are answered for', async (t) => {
  standInQueue(t);
  const { journal, warnings } = openJournal();
  const ids = Array.from({ length: 40 }, (_, index) => `1000${index}A`);
  await Promise.all(ids.map((id) => append(journal, id, queueFile(id))));
  const [only = ''] = segments();
  const [start, ...messages] = entriesOf(only);
  assert.deepEqual(start, { kind: 'start', boot: BOOT });
  assert.deepEqual(
    messages.map(
      (each) =>
        each.kind === 'message' && [each.path, each.bytes.equals(queueFile(each.path.slice(9)))],
    ),
    ids.map((id) => [`incoming/${id}`, true]),
  );
  await journal.close();
  assert.deepEqual(segments(), []);
  assert.deepEqual(warnings, []);
});

test('before a message is answered for, its segment, the folder and the queue directory are safe', async (t) => {
  standInQueue(t);
  rmdirSync('journal');
  const synced: string[] = [];
  const { fsyncSync } = fs;
  t.mock.method(fs, 'fsyncSync', (fd: number) => {
    synced.push(readlinkSync(`/proc/self/fd/${fd}`).slice(process.cwd().length));
    fsyncSync(fd);
  });
  const { journal } = openJournal();
  await append(journal, 'A', queueFile('one'));
  assert.deepEqual(synced, [`/${segments()[0]}`, '/journal', '']);
  await append(journal, 'B', queueFile('two'));
  assert.equal(synced.length, 3);
  await journal.close();
});

test('a message that is delivered is let go of, and an idle journal has nothing in it', async (t) => {
  standInQueue(t);
  const { journal } = openJournal();
  const [one, two] = await Promise.all([
    append(journal, 'A', queueFile('one')),
    append(journal, 'B', queueFile('two')),
  ]);
  const [only = ''] = segments();
  unlinkSync(one);
  const isSettled = ({ kind }: JournalEntry) => kind === 'settled';
  await eventually('a note that A is gone', () => entriesOf(only).some(isSettled));
  assert.deepEqual(entriesOf(only).find(isSettled), { kind: 'settled', sequences: [1] });
  unlinkSync(two);
  await eventually('nothing in the segment', () => entriesOf(only).length === 1);
  await append(journal, 'C', queueFile('three'));
  assert.deepEqual(
    entriesOf(only).map((entry) => (entry.kind === 'message' ? entry.path : entry.kind)),
    ['start', 'incoming/C'],
  );
  await journal.close();
});

test('full segments are used again, and no more than eight are made', async (t) => {
  standInQueue(t);
  const { journal } = openJournal({ heldMax: 1000 });
  const bytes = queueFile('x'.repeat(200_000));
  const paths: string[] = [];
  for (let count = 0; count < 120; count += 1) {
    paths.push(await append(journal, `2000${count}A`, bytes));
    // All but the first few are delivered at once.
    if (count >= 5) unlinkSync(paths.at(-1) as string);
  }
  assert.ok(segments().length <= 3, `${segments().length} segments`);
  const startedAt = monotonic();
  for (let count = 0; count < 120; count += 1) await append(journal, `3000${count}A`, bytes);
  assert.ok(segments().length <= 8);
  // After five seconds messages are synced one by one, and need their segments no more.
  if (monotonic() - startedAt < 5000) assert.equal(segments().length, 8);
  await journal.close();
  assert.deepEqual(segments(), []);
});

test('a journal takes no long messages, and holds no more files than it may', async (t) => {
  standInQueue(t);
  const { journal } = openJournal({ heldMax: 2 });
  assert.equal(journal.takes(256 * 1024), true);
  assert.equal(journal.takes(256 * 1024 + 1), false);
  await append(journal, 'A', queueFile('one'));
  assert.equal(journal.takes(1), true);
  await append(journal, 'B', queueFile('two'));
  assert.equal(journal.takes(1), false);
  await journal.close();
  assert.equal(journal.takes(1), false);
});

test('a file that can not be completed is given back', async (t) => {
  standInQueue(t);
  const { journal } = openJournal();
  writeFileSync('incoming/A', 'x');
  const fd = openSync('incoming/A', 'r+');
  const complete = () => {
    throw new Error('no');
  };
  const bytes = queueFile('one');
  await assert.rejects(journal.append({ fd, path: 'incoming/A', bytes, complete }), /no/);
  await append(journal, 'B', queueFile('two'));
  await journal.close();
  assert.equal(fstatSync(fd).size, 1);
  closeSync(fd);
  assert.deepEqual(segments(), []);
});

test('a journal that can not be written costs no message', async (t) => {
  standInQueue(t);
  rmSync('journal', { recursive: true });
  writeFileSync('journal', 'in the way');
  const { journal, warnings } = openJournal();
  await append(journal, 'A', queueFile('one'));
  assert.equal(journal.takes(1), false);
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0] as string,
    /^cannot write the journal, messages are synced one by one: ENOTDIR/,
  );
  await journal.close();
});

/** What the disk had of a message when the power went. */
interface Cut {
  readonly name: string;
  readonly disk: Readonly<Record<string, { readonly bytes: Buffer; readonly mode?: number }>>;
  readonly settled?: readonly number[];
  readonly boot?: string;
  /** The queue afterwards; `undefined`: as the disk had it. */
  readonly after?: Readonly<Record<string, Buffer>>;
}

const WRITTEN = queueFile('a message');
const MARKED = Buffer.from(WRITTEN);
MARKED.write(RECORD.done, WRITTEN.indexOf('R\x0fbob@'));
const HOLED = Buffer.concat([WRITTEN.subarray(0, 20), Buffer.alloc(WRITTEN.length - 20)]);
const RESTORED = { [`incoming/${ID}`]: WRITTEN };

const CUTS: readonly Cut[] = [
  { name: 'nothing', disk: {}, after: RESTORED },
  { name: 'all', disk: { [`incoming/${ID}`]: { bytes: WRITTEN } } },
  { name: 'all, in another queue', disk: { [`deferred/1/${ID}`]: { bytes: WRITTEN } } },
  { name: 'all, and a recipient was done', disk: { [`active/${ID}`]: { bytes: MARKED } } },
  {
    name: 'an empty file',
    disk: { [`active/${ID}`]: { bytes: Buffer.alloc(0) } },
    after: RESTORED,
  },
  {
    name: 'the beginning',
    disk: { [`incoming/${ID}`]: { bytes: WRITTEN.subarray(0, 20) } },
    after: RESTORED,
  },
  { name: 'a hole', disk: { [`deferred/1/${ID}`]: { bytes: HOLED } }, after: RESTORED },
  {
    name: 'all, but not that it is complete',
    disk: { [`incoming/${ID}`]: { bytes: WRITTEN, mode: 0o600 } },
    after: RESTORED,
  },
  { name: 'nothing, but it was settled', disk: {}, settled: [7] },
  { name: 'nothing, but the machine did not stop', disk: {}, boot: BOOT },
  {
    name: 'an empty file of a message that was gone, and one that was not finished',
    disk: {
      'active/AAAAAAAAAAA': { bytes: Buffer.alloc(0) },
      'incoming/BBBBBBBBBBB': { bytes: Buffer.alloc(0), mode: 0o600 },
    },
    after: { ...RESTORED, 'incoming/BBBBBBBBBBB': Buffer.alloc(0) },
  },
];

for (const { name, disk, settled, boot = 'the start before', after } of CUTS) {
  test(`when the disk has ${name}, every message is in the queue once`, (t) => {
    standInQueue(t);
    for (const [path, { bytes, mode = 0o700 }] of Object.entries(disk)) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
      chmodSync(path, mode);
    }
    const message = {
      kind: 'message',
      sequence: 7,
      path: `incoming/${ID}`,
      bytes: WRITTEN,
    } as const;
    const notes = settled === undefined ? [] : [{ kind: 'settled', sequences: settled } as const];
    writeFileSync('journal/1-1-1.0', segment([{ kind: 'start', boot }, message]));
    writeFileSync('journal/1-1-1.1', segment([{ kind: 'start', boot }, ...notes], 2));
    const warnings: string[] = [];
    const warn = (text: string) => warnings.push(text);
    recoverJournals({ boot: BOOT, hashing: DEFAULT_HASHING, warn });
    const expected =
      after ?? Object.fromEntries(Object.entries(disk).map(([path, { bytes }]) => [path, bytes]));
    assert.deepEqual(queueContent(), expected);
    assert.deepEqual(segments(), []);
    assert.equal(warnings.length, after === undefined ? 0 : 1);
    if (after === undefined) return;
    assert.match(
      warnings[0] as string,
      /^restored incoming\/12345ABCDEF from the journal: the disk /,
    );
    assert.equal(statSync(`incoming/${ID}`).mode & 0o777, 0o700);
  });
}

test('the segments of a process that lives are left alone', async (t) => {
  standInQueue(t);
  const path = 'journal/1-1-1.0';
  writeFileSync(
    path,
    segment([{ kind: 'start', boot: 'the start before' }, ENTRIES[1] as JournalEntry]),
  );
  const fd = openSync(path, 'r');
  flock(fd, 'exclusive');
  const warn = (text: string) => assert.fail(text);
  recoverJournals({ boot: BOOT, hashing: DEFAULT_HASHING, warn });
  assert.ok(existsSync(path));
  assert.deepEqual(queueContent(), {});
  flock(fd, 'unlock');
});

function queueContent(): Record<string, Buffer> {
  const content: Record<string, Buffer> = {};
  for (const name of readdirSync('.', { recursive: true, encoding: 'utf8' })) {
    if (statSync(name).isFile() && !name.startsWith('journal/')) content[name] = readFileSync(name);
  }
  return content;
}
