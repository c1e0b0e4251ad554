/** Certificates and keys in PEM, in the orders that main.cf allows. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { certificatesIn, readKeyPair, readKeyPairs } from '../../../lib/tls/key-pair.ts';
import { makeCertificates } from '../../support/certificates.ts';

test('key pairs are read, and what does not belong together is refused', (t) => {
  const maker = makeCertificates(t);
  const one = maker.make('one', '/CN=one', { key: 'rsa:2048' }).pem;
  const two = maker.make('two', '/CN=two').pem;
  const authority = readFileSync(maker.authority, 'latin1');
  const file = (text: string, name = 'file') => ({ name, text });

  const pair = readKeyPair('RSA', file(one.cert + authority), file(`junk\n${one.key}`));
  assert.deepEqual(certificatesIn(pair.chain).length, 2);
  // Both in one file, in any order.
  readKeyPair('RSA', file(one.key + one.cert), file(one.key + one.cert));
  const single: readonly (readonly [certificate: string, key: string, message: string])[] = [
    [two.cert, one.key, 'RSA private key in key.pem does not match public key in cert.pem'],
    ['', one.key, 'cannot get RSA certificate from file "cert.pem"'],
    [one.key, one.key, 'cannot get RSA certificate from file "cert.pem"'],
    [one.cert, one.cert, 'cannot get RSA private key from file "key.pem"'],
    [one.cert.replace(/M/, '!'), one.key, 'cannot get RSA certificate from file "cert.pem"'],
  ];
  for (const [certificate, key, message] of single) {
    const read = () => readKeyPair('RSA', file(certificate, 'cert.pem'), file(key, 'key.pem'));
    assert.throws(read, { message });
  }

  const pairs = readKeyPairs([file(one.key + one.cert + authority + two.key), file(two.cert)]);
  assert.deepEqual(
    pairs.map(({ chain }) => certificatesIn(chain).length),
    [2, 1],
  );
  const chains: readonly (readonly [text: string, message: string])[] = [
    [one.cert + one.key, 'error loading chain from f: key not first'],
    [one.key + two.cert, 'key at index 1 in f does not match next certificate'],
    [one.key, 'No certs for key at index 1 in f'],
    [
      one.key + two.key,
      'error loading certificate chain: key at index 1 in f not followed by a certificate',
    ],
    ['nothing', 'No PEM data in f'],
    [one.key.replace(/M/, '!'), 'error loading private key (PEM object number 1) from f'],
  ];
  for (const [text, message] of chains) {
    assert.throws(() => readKeyPairs([file(text, 'f')]), { message });
  }
});
