import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  hashKey,
  isLongId,
  makeQueueId,
  parseLongId,
  parseQueueId,
  parseShortId,
} from '../../../lib/queue/queue-id.ts';
import { hashingOf, queuePath } from '../../../lib/queue/queue-path.ts';

const SAMPLES = [
  { long: false, seconds: 1, microseconds: 606721, inode: 2228595, id: '94201220173' },
  { long: false, seconds: 1, microseconds: 5, inode: 255, id: '00005FF' },
  { long: true, seconds: 1795300833, microseconds: 881432, inode: 2228604, id: '4jX6c16FyczJmp6' },
] as const;

for (const { long, id, ...parts } of SAMPLES) {
  test(`the id of inode ${parts.inode} is ${id}`, () => {
    assert.equal(makeQueueId(parts, long), id);
    if (long) assert.deepEqual(parseLongId(id), parts);
    else {
      assert.deepEqual(parseShortId(id), { microseconds: parts.microseconds, inode: parts.inode });
    }
    assert.equal(isLongId(id), long);
  });
}

for (const text of ['', 'A', '../x', '490486.2033', 'A#FIX', 'a/b', 'ä1', 'x'.repeat(256), 'A\n']) {
  test(`${JSON.stringify(text.slice(0, 20))} is no queue id`, () => {
    assert.equal(parseQueueId(text), undefined);
  });
}

const HASHING = hashingOf({ hash_queue_names: 'Deferred, defer hold', hash_queue_depth: 2 });
const PATHS = [
  ['deferred', 'BEB6C220193', 'deferred/B/E/BEB6C220193'],
  ['deferred', '4jX6c20gg5zJmp1', 'deferred/1/7/4jX6c20gg5zJmp1'],
  ['hold', 'BEB6C2201C1', 'hold/B/E/BEB6C2201C1'],
  ['incoming', '77D71220D90', 'incoming/77D71220D90'],
] as const;

for (const [queue, text, path] of PATHS) {
  test(`${text} in ${queue} is ${path}`, () => {
    const id = parseQueueId(text);
    assert.ok(id);
    assert.equal(queuePath(queue, id, HASHING), path);
  });
}

test('a long id is hashed by its microseconds', () => {
  assert.equal(hashKey('4jX6c20gg5zJmp1'), '178D1');
});
