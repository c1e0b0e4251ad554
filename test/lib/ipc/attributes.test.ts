import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Attribute,
  announcement,
  type FormatOptions,
  formatAttributes,
  longValue,
} from '../../../lib/ipc/attributes.ts';
import { KEEP, keepingReply } from '../../../lib/ipc/keep.ts';
import { wire } from './wire.ts';

const CASES: [string, Attribute[], FormatOptions, string][] = [
  ['nothing', [], {}, '␀'],
  [
    'a request with an empty value',
    [
      ['request', 'resolve'],
      ['sender', ''],
      ['address', 'x@example.org'],
    ],
    {},
    'request␀resolve␀sender␀␀address␀x@example.org␀␀',
  ],
  ['-1 as 32 bits', [['status', -1]], {}, 'status␀4294967295␀␀'],
  ['-1 as 64 bits', [['offset', longValue(-1)]], {}, 'offset␀18446744073709551615␀␀'],
  ['more than 32 bits', [['size', 2 ** 40]], {}, 'size␀1099511627776␀␀'],
  ['bytes', [['seed', Buffer.from([0, 255, 16])]], {}, 'seed␀AP8Q␀␀'],
  ['UTF-8', [['sender', 'jörg@example.org']], {}, 'sender␀jörg@example.org␀␀'],
  ['a NUL in a value, defused', [['reason', 'a\0status\0' + '0']], {}, 'reason␀a?status?0␀␀'],
  ['a list that goes on', [['size', 1]], { more: true }, 'size␀1␀'],
  [
    'the plain form',
    [
      ['request', 'connect'],
      ['ident', 'smtpd:192.0.2.1'],
    ],
    { form: 'plain' },
    'request=connect␤ident=smtpd:192.0.2.1␤␤',
  ],
  ['a newline in the plain form, defused', [['a', 'b\nc=d']], { form: 'plain' }, 'a=b?c=d␤␤'],
  [
    'a hash',
    [
      ['size', 2],
      [
        'macros',
        new Map([
          ['i', 'ABC'],
          ['j', ''],
        ]),
      ],
    ],
    {},
    'size␀2␀{␀i␀ABC␀j␀␀}␀␀',
  ],
];
for (const [what, list, options, expected] of CASES) {
  test(`formatAttributes writes ${what}`, () => {
    assert.deepEqual(formatAttributes(list, options), wire(expected));
  });
}

test('a server announces its protocol, cleanup also the queue id', () => {
  assert.deepEqual(
    announcement('delivery_request_protocol'),
    wire('protocol␀delivery_request_protocol␀␀'),
  );
  assert.deepEqual(
    announcement('cleanup_protocol', ['queue_id', '9E3B3220164']),
    wire('protocol␀cleanup_protocol␀queue_id␀9E3B3220164␀␀'),
  );
});

test('a kept connection shows as one more list behind the reply', () => {
  assert.deepEqual(KEEP, wire('reuse␀yes␀␀'));
  assert.deepEqual(keepingReply([['status', 0]]), wire('status␀0␀␀reuse␀yes␀␀'));
});
