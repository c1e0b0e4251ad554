/** Protocol lists, cipher lists and OpenSSL's switches, as TLS_README and postconf(5) have them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cipherBits, cipherList } from '../../../lib/tls/ciphers.ts';
import { opensslOptions, withoutTickets } from '../../../lib/tls/openssl-options.ts';
import { parseProtocols } from '../../../lib/tls/protocols.ts';

const PROTOCOLS: readonly (readonly [text: string, versions: string])[] = [
  ['', 'TLSv1 TLSv1.1 TLSv1.2 TLSv1.3'],
  ['>=TLSv1', 'TLSv1 TLSv1.1 TLSv1.2 TLSv1.3'],
  ['>=TLSv1.2', 'TLSv1.2 TLSv1.3'],
  ['>=tlsv1.2, <=TLSv1.2', 'TLSv1.2'],
  ['>=0303', 'TLSv1.2 TLSv1.3'],
  ['!SSLv2, !SSLv3', 'TLSv1 TLSv1.1 TLSv1.2 TLSv1.3'],
  ['!SSLv2:!SSLv3 !TLSv1,!TLSv1.1', 'TLSv1.2 TLSv1.3'],
  ['TLSv1.1 TLSv1.3', 'TLSv1.1 TLSv1.3'],
  ['TLSv1.2 !TLSv1.2', ''],
  ['SSLv3', ''],
  ['<=SSLv3', ''],
];

for (const [text, versions] of PROTOCOLS) {
  test(`the protocol list "${text}" allows ${versions || 'nothing'}`, () => {
    assert.equal(parseProtocols(text).join(' '), versions);
  });
}

for (const text of ['bogus', '!TLSv9', '>=', '>=TLSv1,x', '>= TLSv1.2']) {
  test(`the protocol list "${text}" is refused`, () => {
    assert.throws(() => parseProtocols(text), { message: `Invalid TLS protocol list "${text}"` });
  });
}

const GRADES = { high: 'HIGH', medium: 'HIGH:MEDIUM', low: 'LOW', export: 'EXPORT', null: 'eNULL' };

test('a cipher list is a grade without what is excluded', () => {
  assert.equal(cipherList('medium', [], GRADES), 'HIGH:MEDIUM');
  assert.equal(cipherList('HIGH', ['MD5, DES', 'RC4:aNULL'], GRADES), 'HIGH:!MD5:!DES:!RC4:!aNULL');
  assert.throws(() => cipherList('best', [], GRADES), { message: 'invalid cipher grade: "best"' });
  assert.throws(() => cipherList('high', ['A, !B'], GRADES), /invalid unary '!\+-@'.*: !B$/);
});

const BITS: readonly (readonly [name: string, used: number, all: number])[] = [
  ['TLS_AES_256_GCM_SHA384', 256, 256],
  ['TLS_AES_128_GCM_SHA256', 128, 128],
  ['TLS_CHACHA20_POLY1305_SHA256', 256, 256],
  ['ECDHE-RSA-AES128-SHA', 128, 128],
  ['DHE-RSA-CAMELLIA256-SHA', 256, 256],
  ['DES-CBC3-SHA', 112, 168],
  ['AECDH-NULL-SHA', 0, 0],
];

for (const [name, ...bits] of BITS) {
  test(`${name} has ${bits.join('/')} bits`, () => assert.deepEqual(cipherBits(name), bits));
}

test('names become OpenSSL switches; those that mean nothing are named', () => {
  const warnings: string[] = [];
  const bitsOf = (wishes: { options?: string; workarounds?: string; protocols?: string }) =>
    opensslOptions(
      {
        versions: parseProtocols(wishes.protocols ?? ''),
        options: wishes.options ?? '',
        disabledWorkarounds: wishes.workarounds ?? '',
        serverChoosesCipher: false,
      },
      (text) => warnings.push(text),
    );
  const usual = bitsOf({});
  // SSL_OP_ALL, NO_RENEGOTIATION, NO_COMPRESSION.
  assert.equal(usual, 0xc0020850);
  assert.equal(bitsOf({ options: 'no_ticket' }), usual + 0x4000);
  assert.equal(withoutTickets(usual), usual + 0x4000);
  assert.equal(bitsOf({ options: '0x4000' }), usual + 0x4000);
  assert.equal(bitsOf({ workarounds: 'TLSEXT_PADDING, 0x40' }), usual - 0x50);
  assert.equal(bitsOf({ protocols: '>=TLSv1.2' }), usual + 0x14000000);
  assert.deepEqual(warnings, []);
  assert.equal(bitsOf({ options: 'bogus', workarounds: 'odd' }), usual);
  assert.deepEqual(warnings, [
    'unknown tls_disable_workarounds value "odd" in "odd"',
    'unknown tls_ssl_options value "bogus" in "bogus"',
  ]);
});
