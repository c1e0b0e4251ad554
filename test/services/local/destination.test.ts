import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Destination,
  parseDestinationFile,
  parseDestinations,
} from '../../../services/local/destination.ts';

/** `kind:what`, the address in its quoted form. */
function told(destination: Destination): string {
  switch (destination.kind) {
    case 'address':
      return destination.external;
    case 'command':
      return `command:${destination.command}`;
    default:
      return `${destination.kind}:${destination.path}`;
  }
}

// What real local(8) 3.7.11 makes of the same text.
const CASES: readonly [text: string, destinations: readonly string[]][] = [
  ['', []],
  ['bob', ['bob']],
  ['bob, ann@example.com', ['bob', 'ann@example.com']],
  ['bob ann', ['bob', 'ann']],
  ['\\bob', ['bob']],
  ['"\\bob"', ['"bob"']],
  ['"odd user"@example.com', ['"odd user"@example.com']],
  ['Ann Lee <ann@example.com> (a comment), bob', ['ann@example.com', 'bob']],
  ['user@[192.0.2.1]', ['user@[192.0.2.1]']],
  ['/var/mail/x', ['file:/var/mail/x']],
  ['"/a b/c", /dev/null', ['file:/a b/c', 'file:/dev/null']],
  ['/home/x/Maildir/', ['file:/home/x/Maildir/']],
  ['|/bin/true', ['command:/bin/true']],
  ['"|/bin/cat >x, y"', ['command:/bin/cat >x, y']],
  ['|"/usr/bin/vacation bob"', ['command:/usr/bin/vacation bob']],
  ['|/bin/echo a', ['command:/bin/echo', 'a']],
  [':include:/etc/list', ['include:/etc/list']],
  ['bob, :include:/etc/list,ann', ['bob', 'include:/etc/list', 'ann']],
  [':INCLUDE:/etc/list', ['include:/etc/list']],
  ['":include:/etc/a b"', ['include:/etc/a b']],
  [':include:relative', ['include:relative']],
  ['"|exit 67"', ['command:exit 67']],
];

for (const [text, destinations] of CASES) {
  test(`${JSON.stringify(text)} leads to ${destinations.join(' and ') || 'nobody'}`, () => {
    assert.deepEqual(parseDestinations(text).map(told), destinations);
  });
}

const FILES: readonly [text: string, destinations: readonly string[]][] = [
  ['', []],
  ['# only a comment\n\n', []],
  ['bob\nann\n', ['bob', 'ann']],
  ['bob,\n  ann\n', ['bob', 'ann']],
  ['bob\n# comment\n  ann', ['bob', 'ann']],
  ['bob, "|exit 1"\n', ['bob', 'command:exit 1']],
  ['no-newline', ['no-newline']],
];

for (const [text, destinations] of FILES) {
  test(`the file ${JSON.stringify(text)} lists ${destinations.join(' and ') || 'nobody'}`, () => {
    assert.deepEqual([...parseDestinationFile(text, { lineBytes: 2048 })].map(told), destinations);
  });
}

test('a line without end is taken in pieces, in time that grows with it', () => {
  const text = 'bob, '.repeat(50_000);
  assert.equal([...parseDestinationFile(text, { lineBytes: 2000 })].length, 50_000);
});
