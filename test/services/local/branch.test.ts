import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { User } from '../../../lib/os/identity.ts';
import { RECORD } from '../../../lib/queue/record.ts';
import { RecordWriter } from '../../../lib/queue/record-writer.ts';
import {
  type Branch,
  firstBranch,
  nextBranch,
  withUnmatched,
} from '../../../services/local/branch.ts';
import { isLoop, readDeliveredTo } from '../../../services/local/delivered-to.ts';
import { forwardPaths } from '../../../services/local/forward-file.ts';
import { chooseMailbox, spoolRights } from '../../../services/local/mailbox-choice.ts';
import { isForwarded } from '../../../services/local/recipient.ts';

const PLUS = { recipient_delimiter: '+', owner_request_special: true };
const NONE = { recipient_delimiter: '', owner_request_special: true };

function branchOf(address: string, splitting = PLUS): Branch {
  const recipient = { original: '', address, offset: 1, dsnOriginal: '', notify: 0 };
  return firstBranch(recipient, 'ann@example.com', splitting);
}

const BOB: User = {
  name: 'bob',
  uid: 1000,
  gid: 1001,
  home: '/home/bob',
  shell: '/bin/sh',
  gecos: '',
};

test('an address is taken apart, in lower case', () => {
  const { local, user, domain, suffix, recipient } = branchOf('Bob+Lists@Example.COM');
  assert.deepEqual(
    { local, user, domain, suffix, address: recipient.address },
    {
      local: 'bob+lists',
      user: 'bob',
      domain: 'example.com',
      suffix: { delimiter: '+', extension: 'lists' },
      address: 'Bob+Lists@Example.COM',
    },
  );
  assert.equal(branchOf('bob+lists@example.com', NONE).user, 'bob+lists');
});

test('an extension that would lead into another directory is taken away', () => {
  const { local, user, suffix, illegalExtension } = branchOf('bob+../../etc/x@example.com');
  assert.deepEqual([local, user, suffix], ['bob', 'bob', undefined]);
  assert.equal(illegalExtension, 'bob+../../etc/x');
});

test('the next address keeps what the list has decided, and nothing of the address before', () => {
  const list = { ...branchOf('list+a@example.com'), owner: 'owner-list@example.com' };
  const next = nextBranch({ ...list, unmatched: list.suffix }, 'Bob@example.com', PLUS);
  assert.deepEqual(
    [next.user, next.suffix, next.unmatched, next.owner, next.level, next.delivered],
    ['bob', undefined, undefined, 'owner-list@example.com', 1, 'list+a@example.com'],
  );
});

test('an unmatched extension goes before the last @', () => {
  const suffix = { delimiter: '+', extension: 'x' };
  assert.equal(withUnmatched('bob@example.com', suffix), 'bob+x@example.com');
  assert.equal(withUnmatched('a@b@example.com', suffix), 'a@b+x@example.com');
  assert.equal(withUnmatched('bob', suffix), 'bob+x');
  assert.equal(withUnmatched('bob@example.com', undefined), 'bob@example.com');
});

const FORWARD = {
  forward_path: '$home/.forward${recipient_delimiter}${extension}, $home/.forward',
  forward_expansion_filter: 'abcdefghijklmnopqrstuvwxyz/.+-',
  recipient_delimiter: '+',
};

for (const [address, paths] of [
  ['bob@example.com', ['/home/bob/.forward']],
  ['bob+x@example.com', ['/home/bob/.forward+x', '/home/bob/.forward']],
  ['bob+a;b@example.com', ['/home/bob/.forward+a_b', '/home/bob/.forward']],
  ['bob+../x@example.com', ['/home/bob/.forward']],
] as const) {
  test(`mail for ${address} is looked for in ${paths.join(' and ')}`, () => {
    const found = forwardPaths(FORWARD, branchOf(address), BOB);
    assert.deepEqual(
      found.map(({ path }) => path),
      paths,
    );
  });
}

test('a .forward file whose name has the extension uses it up', () => {
  const [first, second] = forwardPaths(FORWARD, branchOf('bob+x@example.com'), BOB);
  assert.deepEqual([first?.usesExtension, second?.usesExtension], [true, false]);
});

const LOCAL = { mailbox_command: '', home_mailbox: '', mail_spool_directory: '/var/mail' };

for (const [set, mapped, choice] of [
  [{}, undefined, { kind: 'mailbox', path: '/var/mail/bob', because: 'mail_spool_directory' }],
  [
    { mail_spool_directory: '/var/mail/' },
    undefined,
    { kind: 'maildir', path: '/var/mail/bob/', because: 'mail_spool_directory' },
  ],
  [
    { home_mailbox: 'Mailbox' },
    undefined,
    { kind: 'mailbox', path: '/home/bob/Mailbox', because: 'home_mailbox' },
  ],
  [
    { home_mailbox: 'Maildir/' },
    undefined,
    { kind: 'maildir', path: '/home/bob/Maildir/', because: 'home_mailbox' },
  ],
  [
    { mailbox_command: '/bin/a', home_mailbox: 'Maildir/' },
    undefined,
    { kind: 'command', command: '/bin/a', because: 'mailbox_command' },
  ],
  [
    { mailbox_command: '/bin/a' },
    '/bin/b',
    { kind: 'command', command: '/bin/b', because: 'mailbox_command_maps' },
  ],
] as const) {
  test(`with ${JSON.stringify(set)} and ${mapped ?? 'no'} command in the table: ${choice.kind}`, () => {
    const { spool: _, ...chosen } = {
      spool: '',
      ...chooseMailbox({ ...LOCAL, ...set }, BOB, mapped),
    };
    assert.deepEqual(chosen, choice);
  });
}

for (const [mode, rights] of [
  [0o1777, { uid: 1000, gid: 1001 }],
  [0o2775, { uid: 1000, gid: 8 }],
  [0o755, { uid: 0, gid: 0, owner: { uid: 1000, gid: 1001 } }],
] as const) {
  test(`a spool directory of mode ${mode.toString(8)} is used with as few rights as it allows`, () => {
    assert.deepEqual(spoolRights({ mode, gid: 8 }, BOB), rights);
  });
}

for (const [owner, expansion, forwarded] of [
  [undefined, undefined, false],
  [undefined, 'alias', false],
  ['bob', 'forward', false],
  ['Bob', 'forward', false],
  ['ann', 'forward', true],
  ['owner-list@example.com', 'alias', true],
  [undefined, 'include', true],
] as const) {
  test(`named by ${expansion ?? 'nobody'} of ${owner ?? 'nobody'}, bob is ${forwarded ? '' : 'not '}forwarded to`, () => {
    assert.equal(isForwarded({ ...branchOf('bob@example.com'), owner, expansion }), forwarded);
  });
}

/** The loops of a message, from the records of its content. */
function loopsOf(...records: readonly [type: string, text: string][]): ReadonlySet<string> {
  const writer = new RecordWriter();
  for (const [type, text] of records) writer.record(type, text);
  writer.record(RECORD.extracted);
  const bytes = writer.take();
  return readDeliveredTo({ fd: -1, path: 'message', sizeBytes: bytes.length, bytes }, 0);
}

test('Delivered-To headers are found, whatever their case, and only as headers', () => {
  const { text, longText, padding } = RECORD;
  const loops = loopsOf(
    [text, 'Subject: Delivered-To: a@x'],
    [text, 'delivered-TO:  Bob@Example.com'],
    [padding, '...'],
    [longText, 'X: y'],
    [text, 'Delivered-To: e@x'],
    [text, '\tDelivered-To: c@x'],
    [text, 'Delivered-To: d@x'],
    [text, ''],
    [text, 'Delivered-To: body@x'],
  );
  assert.deepEqual([...loops], ['bob@example.com', 'd@x']);
  assert.equal(isLoop(loops, 'BOB@example.com'), true);
  assert.equal(isLoop(loops, 'a@x'), false);
  assert.equal(isLoop(loopsOf([text, 'Delivered-To: "odd user"@x']), 'odd user@x'), true);
  assert.equal(loopsOf([text, 'Subject: x']).size, 0);
});
