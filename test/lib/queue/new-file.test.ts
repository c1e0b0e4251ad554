import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createQueueFile } from '../../../lib/queue/new-file.ts';
import { makeQueueId } from '../../../lib/queue/queue-id.ts';
import { DEFAULT_HASHING, hashingOf } from '../../../lib/queue/queue-path.ts';
import { QueueScan, scanQueue } from '../../../lib/queue/scan.ts';
import { atEnd } from '../../support/cleanup.ts';

function queueDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'new-file-'));
  atEnd(t, () => rmSync(directory, { recursive: true }));
  for (const queue of ['incoming', 'hold', 'deferred']) mkdirSync(join(directory, queue));
  return directory;
}

for (const long of [false, true]) {
  test(`a new file with a ${long ? 'long' : 'short'} id is complete only after commit`, async (t) => {
    const directory = queueDirectory(t);
    const file = await createQueueFile('incoming', { long, hashing: DEFAULT_HASHING, directory });
    const stats = statSync(file.path);
    assert.equal(stats.mode & 0o777, 0o600);
    assert.equal(file.id, makeQueueId({ ...file.time, inode: stats.ino }, long));
    await file.write(Buffer.from('xxxxx'));
    await file.write(Buffer.from(' world'));
    file.writeAt(Buffer.from('hello'), 0);
    await file.commit();
    assert.equal(statSync(file.path).mode & 0o777, 0o700);
    assert.equal(readFileSync(file.path, 'latin1'), 'hello world');
    assert.deepEqual(readdirSync(join(directory, 'incoming')), [file.id]);
  });
}

test('a discarded file leaves nothing behind', async (t) => {
  const directory = queueDirectory(t);
  const file = await createQueueFile('incoming', {
    long: false,
    hashing: DEFAULT_HASHING,
    directory,
  });
  await file.write(Buffer.from('x'));
  file.discard();
  file.discard();
  assert.deepEqual(readdirSync(join(directory, 'incoming')), []);
});

test('a long message is written whole', async (t) => {
  const directory = queueDirectory(t);
  const file = await createQueueFile('incoming', {
    long: false,
    hashing: DEFAULT_HASHING,
    directory,
  });
  const piece = Buffer.alloc(100_000, 'abcdefghij');
  for (let n = 0; n < 10; n += 1) await file.write(piece);
  await file.commit();
  assert.ok(readFileSync(file.path).equals(Buffer.alloc(1_000_000, 'abcdefghij')));
});

test('a message goes on hold before it is complete, into a hashed queue too', async (t) => {
  const directory = queueDirectory(t);
  const hashing = hashingOf({ hash_queue_names: 'hold', hash_queue_depth: 2 });
  const file = await createQueueFile('incoming', { long: false, hashing, directory });
  file.moveTo('hold');
  await file.commit();
  assert.equal(file.path, join(directory, `hold/${file.id[0]}/${file.id[1]}/${file.id}`));
  assert.deepEqual([...scanQueue(join(directory, 'hold'))], [file.id]);
  assert.deepEqual(readdirSync(join(directory, 'incoming')), []);
});

test('a queue directory that is missing is reported', async (t) => {
  const directory = queueDirectory(t);
  const options = { long: false, hashing: DEFAULT_HASHING, directory: join(directory, 'no') };
  await assert.rejects(createQueueFile('incoming', options), { code: 'ENOENT' });
});

test('a scan finds the messages of all levels and nothing else', async (t) => {
  const directory = queueDirectory(t);
  const folder = join(directory, 'deferred');
  const ids = ['AAAAA1', 'B/BBBBB2', 'B/C/BCBBB3', 'BB12345'];
  for (const id of [...ids, 'x.y', 'D/A.b', 'not-one']) {
    mkdirSync(join(folder, id, '..'), { recursive: true });
    await import('node:fs/promises').then((fs) => fs.writeFile(join(folder, id), ''));
  }
  const found = [...scanQueue(folder)].sort();
  assert.deepEqual(found, ['AAAAA1', 'BB12345', 'BBBBB2', 'BCBBB3'].sort());
  const scan = new QueueScan(folder);
  assert.ok(scan.next());
  scan.close();
  assert.equal(scan.next(), undefined);
  assert.deepEqual([...scanQueue(join(directory, 'none'))], []);
});

test('a scan of a folder that is too large to be read at once finds every message', (t) => {
  const folder = join(queueDirectory(t), 'incoming');
  const ids = Array.from({ length: 500 }, (_, index) => `A${index}`.padEnd(200, 'x'));
  for (const id of ids) writeFileSync(join(folder, id), '');
  assert.ok(statSync(folder).size > 64 * 1024, 'on this file system the folder looks small');
  assert.deepEqual([...scanQueue(folder)].sort(), ids.sort());
  const scan = new QueueScan(folder);
  assert.ok(scan.next());
  scan.close();
  assert.equal(scan.next(), undefined);
});
