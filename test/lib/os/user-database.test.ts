import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEntries } from '../../../lib/os/user-database.ts';

const FILE = [
  'root:x:0:0:root:/root:/bin/bash',
  '# a comment:x:1:1',
  '+nis:x:2:2',
  '',
  'no number:x:one:1',
  'ann:x:1000:1000:Ann,,,:/home/ann:/bin/sh',
  'short:x',
];

test('a user database has the lines that name somebody', () => {
  assert.deepEqual(
    parseEntries(FILE.join('\n')).map(([name, , number]) => [name, number]),
    [
      ['root', '0'],
      ['ann', '1000'],
    ],
  );
});
