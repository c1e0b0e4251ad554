import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ATTRIBUTES,
  type ClientCommand,
  parseClientAttributes,
} from '../../../services/smtpd/client-attributes.ts';

// What Postfix answers is in xclient-exchanges.ts; its lab has no IPv6.
for (const [given, expected] of [
  ['IPv6:2001:db8::1', '2001:db8::1'],
  ['ipv6:2001:0DB8:0:0::1', '2001:db8::1'],
  ['IPV6:::ffff:192.0.2.1', '192.0.2.1'],
  ['192.0.2.1', '192.0.2.1'],
  ['[unavailable]', 'unknown'],
  ['2001:db8::1', undefined],
  ['IPv6:192.0.2.1', undefined],
  ['IPv6:fe80::1%eth0', undefined],
  ['[IPv6:2001:db8::1]', undefined],
] as const) {
  test(`ADDR=${given} ${expected === undefined ? 'is none' : `is ${expected}`}`, () => {
    const found = parseClientAttributes('XCLIENT', [`ADDR=${given}`], [4, 6]);
    const refusal = `501 5.5.4 Bad ADDR syntax: ${given}`;
    assert.deepEqual(found, expected === undefined ? { refusal } : { ADDR: expected, again: [] });
  });
}

test('an address of a family that inet_protocols has not is none', () => {
  const refusals = [
    parseClientAttributes('XFORWARD', ['ADDR=192.0.2.1'], [6]),
    parseClientAttributes('XCLIENT', ['DESTADDR=IPv6:2001:db8::1'], [4]),
    parseClientAttributes('XCLIENT', ['ADDR=IPv6:::ffff:192.0.2.1'], [6]),
  ];
  assert.ok(refusals.every((found) => 'refusal' in found));
});

test('one attribute that is wrong spoils them all; the last of two counts', () => {
  const parse = (...words: string[]) => parseClientAttributes('XCLIENT', words, [4]);
  assert.deepEqual(parse('NAME=a.test', 'ADDR=x'), { refusal: '501 5.5.4 Bad ADDR syntax: x' });
  assert.deepEqual(parse('NAME=a.test', 'name=b.test'), {
    NAME: 'b.test',
    again: [],
  });
  assert.deepEqual(parse('NAME=[TEMPUNAVAIL]'), { NAME: 'unknown', again: ['NAME'] });
});

test('no value has control characters, whatever was encoded', () => {
  const COMMAND = fc.constantFrom<ClientCommand>('XCLIENT', 'XFORWARD');
  const NAME = fc.constantFrom(...ATTRIBUTES.XCLIENT, ...ATTRIBUTES.XFORWARD);
  const HEX = fc.nat(255).map((byte) => `+${byte.toString(16).toUpperCase().padStart(2, '0')}`);
  const VALUE = fc.array(fc.oneof(HEX, fc.string({ unit: 'binary', maxLength: 3 })));
  fc.assert(
    fc.property(COMMAND, NAME, VALUE, (command, name, value) => {
      const found = parseClientAttributes(command, [`${name}=${value.join('')}`], [4, 6]);
      for (const text of Object.values(found).flat())
        assert.match(text, /^[\x20-\x7e\u00a0-\uffff]*$/);
    }),
  );
});
