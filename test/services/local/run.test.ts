import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { User } from '../../../lib/os/identity.ts';
import { DuplicateFilter } from '../../../services/local/duplicate-filter.ts';
import { actingTrouble } from '../../../services/local/run.ts';
import { needsRoot } from '../../lib/os/scratch.ts';

const BOB: User = { name: 'bob', uid: 12345, gid: 1, home: '/', shell: '', gecos: '' };

test('without root a process delivers for its own user only, and says so', {
  skip: needsRoot,
}, () => {
  const { seteuid } = process;
  assert.ok(seteuid);
  assert.equal(actingTrouble(BOB), undefined);
  seteuid(12345);
  try {
    assert.equal(actingTrouble(BOB), undefined);
    assert.equal(
      actingTrouble({ ...BOB, name: 'ann', uid: 1 }),
      "this mail system runs as uid 12345 without privileges, and can't deliver for user ann (uid 1)",
    );
  } finally {
    seteuid(0);
  }
});

test('the duplicate filter knows what it has seen, in any case, up to its limit', () => {
  const filter = new DuplicateFilter(2);
  assert.equal(filter.isRepeated('mailbox', 'Bob'), false);
  assert.equal(filter.isRepeated('mailbox', 'bob'), true);
  assert.equal(filter.isRepeated('mailbox', 'ann'), false);
  assert.equal(filter.isRepeated('mailbox', 'cat'), false);
  assert.equal(filter.isRepeated('mailbox', 'cat'), false, 'beyond the limit');
  assert.equal(filter.has('mailbox', 'ann'), true);
  assert.equal(filter.has('mailboxann'), false);
});
