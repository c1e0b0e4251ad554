/** Queue files that are used again, when they are, and that no message suffers from it. */
import assert from 'node:assert/strict';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { flock } from '../../../lib/os/locks.ts';
import { Journal } from '../../../lib/queue/journal.ts';
import { recoverJournals } from '../../../lib/queue/journal-recovery.ts';
import { createQueueFile, type NewQueueFile } from '../../../lib/queue/new-file.ts';
import { parseQueueId } from '../../../lib/queue/queue-id.ts';
import { DEFAULT_HASHING } from '../../../lib/queue/queue-path.ts';
import { SPARE_FOLDER } from '../../../lib/queue/spare-files.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { standInQueue } from './queue-directory.ts';

const BOOT = 'this start';
/** So many at a time are a load. */
const MANY = 40;
const OLD = Buffer.from('an older message, '.repeat(500));

interface Queue {
  readonly journal: Journal;
  readonly warnings: string[];
  create(): Promise<NewQueueFile>;
  /** Writes a message, which is in `incoming` then. */
  write(bytes: Buffer): Promise<NewQueueFile>;
  writeMany(bytes: Buffer): Promise<NewQueueFile[]>;
}

function openQueue(t: TestContext): Queue {
  standInQueue(t);
  const warnings: string[] = [];
  const warn = (text: string) => warnings.push(text);
  const journal = new Journal({ boot: BOOT, heldMax: 1000, warn });
  atEnd(t, () => journal.close());
  const create = () =>
    createQueueFile('incoming', { long: false, hashing: DEFAULT_HASHING, journal });
  const write = async (bytes: Buffer) => {
    const file = await create();
    await file.write(bytes);
    await file.commit();
    return file;
  };
  const writeMany = async (bytes: Buffer) => {
    const files: NewQueueFile[] = [];
    for (let count = 0; count < MANY; count += 1) files.push(await write(bytes));
    return files;
  };
  return { journal, warnings, create, write, writeMany };
}

const inodeOf = (path: string) => statSync(path).ino;

/** The second names of files. */
function spares(): string[] {
  return readdirSync(SPARE_FOLDER).flatMap((folder) =>
    readdirSync(join(SPARE_FOLDER, folder)).map((name) => join(SPARE_FOLDER, folder, name)),
  );
}

test('the file of a message that is gone has the next one', async (t) => {
  const { warnings, create, writeMany } = openQueue(t);
  const files = await writeMany(OLD);
  const inodes = new Set(files.map(({ path }) => inodeOf(path)));
  assert.equal(inodes.size, MANY);
  for (const { path } of files) unlinkSync(path);
  let again = 0;
  for (let count = 0; count < MANY; count += 1) {
    const file = await create();
    const { ino, mode, nlink, blocks } = statSync(file.path);
    again += nlink - 1;
    if (nlink === 2) assert.ok(inodes.has(ino));
    assert.equal(mode & 0o777, 0o600);
    assert.equal(blocks, 0, 'nothing of the message before');
    assert.equal(parseQueueId(file.id), file.id);
    const text = Buffer.from(`message ${count}`);
    await file.write(text);
    await file.commit();
    assert.deepEqual(readFileSync(file.path), text);
    assert.equal(statSync(file.path).mode & 0o777, 0o700);
    unlinkSync(file.path);
  }
  assert.ok(again > MANY / 2, `${again} files were used again`);
  assert.deepEqual(warnings, []);
});

test('a few messages leave no file behind', async (t) => {
  const { write } = openQueue(t);
  const { path } = await write(OLD);
  assert.equal(statSync(path).nlink, 1);
  assert.deepEqual(readdirSync('journal').length, 1);
});

test('a message that is still in the queue keeps its file', async (t) => {
  const { write, writeMany } = openQueue(t);
  const files = await writeMany(OLD);
  for (let count = 0; count < MANY; count += 1) unlinkSync((await write(Buffer.from('new'))).path);
  for (const { path } of files) assert.deepEqual(readFileSync(path), OLD);
});

test('a message whose file has lost its second name keeps it', async (t) => {
  const { journal, write, writeMany } = openQueue(t);
  const files = await writeMany(OLD);
  for (const path of spares()) unlinkSync(path);
  for (let count = 0; count < MANY; count += 1) await write(Buffer.from('new'));
  for (const { path } of files) assert.deepEqual(readFileSync(path), OLD);
  await journal.close();
  for (const { path } of files) assert.deepEqual(readFileSync(path), OLD);
});

test('whoever has the file of a message open reads that message to its end', async (t) => {
  const { write, writeMany } = openQueue(t);
  const files = await writeMany(OLD);
  const readers = files.map(({ path }) => openSync(path, 'r'));
  for (const fd of readers) atEnd(t, () => closeSync(fd));
  for (const { path } of files) unlinkSync(path);
  for (let count = 0; count < 2 * MANY; count += 1) {
    unlinkSync((await write(Buffer.from('new'))).path);
  }
  for (const fd of readers) {
    const found = Buffer.alloc(OLD.length + 1);
    assert.equal(readSync(fd, found, 0, found.length, 0), OLD.length);
    assert.deepEqual(found.subarray(0, -1), OLD);
  }
});

test('a message that is not finished leaves its file to nobody', async (t) => {
  const { create, writeMany } = openQueue(t);
  for (const { path } of await writeMany(OLD)) unlinkSync(path);
  const before = spares().length;
  const file = await create();
  assert.equal(statSync(file.path).nlink, 2);
  await file.write(OLD);
  file.discard();
  assert.deepEqual(readdirSync('incoming'), []);
  assert.equal(spares().length, before - 1);
});

test('when nobody writes, nothing is left of messages that are gone', async (t) => {
  const { writeMany } = openQueue(t);
  for (const { path } of await writeMany(OLD)) unlinkSync(path);
  assert.notDeepEqual(spares(), []);
  await eventually('no file', () => spares().length === 0);
});

test('at the end every message has only its name in the queue', async (t) => {
  const { journal, writeMany } = openQueue(t);
  const files = await writeMany(OLD);
  unlinkSync(files[MANY - 1]?.path as string);
  await journal.close();
  for (const { path } of files.slice(0, -1)) assert.equal(statSync(path).nlink, 1);
  assert.deepEqual(readdirSync(SPARE_FOLDER), []);
});

test('where a file can have no second name, each message has a file of its own', async (t) => {
  const { warnings, writeMany } = openQueue(t);
  writeFileSync(SPARE_FOLDER, 'in the way');
  const files = await writeMany(OLD);
  for (const { path } of files) assert.equal(statSync(path).nlink, 1);
  assert.deepEqual(warnings, ['queue files are not used again: Not a directory']);
});

test('what a killed process has left is tidied up, that of a live one is not', async (t) => {
  openQueue(t);
  for (const [family, message] of [
    ['1-1-1', 'A'],
    ['2-2-2', 'B'],
  ] as const) {
    mkdirSync(`${SPARE_FOLDER}/${family}`, { recursive: true });
    writeFileSync(`${SPARE_FOLDER}/${family}/1`, 'a message that is gone');
    writeFileSync(`${SPARE_FOLDER}/${family}/2`, message);
  }
  const live = openSync(`${SPARE_FOLDER}/2-2-2`, 'r');
  atEnd(t, () => closeSync(live));
  flock(live, 'exclusive');
  const warn = (text: string) => assert.fail(text);
  recoverJournals({ boot: BOOT, hashing: DEFAULT_HASHING, warn });
  assert.deepEqual(readdirSync(SPARE_FOLDER), ['2-2-2']);
  assert.equal(readdirSync(`${SPARE_FOLDER}/2-2-2`).length, 2);
  rmSync(`${SPARE_FOLDER}/2-2-2`, { recursive: true });
});
