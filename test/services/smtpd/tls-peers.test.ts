/** What the log says of handshakes and of clients' certificates, with Postfix's smtpd and ours. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { joinFiles, makeCertificates } from '../../support/certificates.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { compareServers, type Settings } from './compare.ts';
import type { Step } from './dialogue.ts';

const HELLO = 'EHLO client.test';
const MAIL = 'MAIL FROM:<ann@client.test>';
const FAR = 'RCPT TO:<bob@far.test>';
const session = (options: ConnectionOptions): Step[] => [
  HELLO,
  'STARTTLS',
  { tls: options },
  HELLO,
  MAIL,
  FAR,
  'QUIT',
];

test('clients are known by their certificates as with Postfix', {
  skip: whyNoPostfix(),
  concurrency: 4,
}, async (t) => {
  const maker = makeCertificates(t);
  const { directory } = maker;
  const rsa = maker.make('rsa', '/CN=mx.lab.test', { key: 'rsa:2048' });
  const known = maker.make('known', '/CN=known.client.test/O=Known').pem;
  const strange = maker.make('strange', '/CN=strange', { isSelfSigned: true }).pem;
  const nameless = maker.make('nameless', '/O=Nobody').pem;
  const unicode = maker.make('unicode', '/CN=J\u00f6rg (x)/O=y', { isSelfSigned: true }).pem;
  const caPath = `${directory}/authorities`;
  mkdirSync(caPath);
  writeFileSync(`${caPath}/lab.pem`, readFileSync(maker.authority));
  spawnSync('openssl', ['rehash', caPath]);
  const fingerprint = (name: string, digest: string) =>
    spawnSync(
      'openssl',
      ['x509', '-in', `${directory}/${name}.pem`, '-noout', '-fingerprint', `-${digest}`],
      {
        encoding: 'latin1',
      },
    )
      .stdout.trim()
      .replace(/^.*=/, '');
  const list = (digest: string) =>
    joinFiles(
      `${directory}/list-${digest}`,
      `${fingerprint('known', digest)} x\n${fingerprint('strange', digest).toLowerCase()} x\n`,
    );
  const main = {
    smtpd_tls_security_level: 'may',
    smtpd_tls_cert_file: rsa.certificate,
    smtpd_tls_key_file: rsa.key,
    smtpd_tls_loglevel: '1',
    smtpd_tls_ask_ccert: 'yes',
    smtpd_tls_CAfile: maker.authority,
    mynetworks: '192.0.2.1',
  };
  const sessions = {
    none: session({}),
    known: session(known),
    strange: session(strange),
    nameless: session(nameless),
    unicode: session(unicode),
    'known, TLS 1.2': session({ ...known, maxVersion: 'TLSv1.2' }),
  };
  const relay = (restriction: string) => ({
    smtpd_relay_restrictions: `${restriction}, reject_unauth_destination`,
  });
  const digests: Settings = Object.fromEntries(
    ['md5', 'sha1', 'SHA512'].flatMap((digest) => [
      [
        `fingerprints of ${digest}`,
        {
          main: {
            ...main,
            ...relay('permit_tls_clientcerts'),
            smtpd_tls_fingerprint_digest: digest,
            relay_clientcerts: `texthash:${list(digest)}`,
          },
          sessions,
        },
      ],
    ]),
  );
  await compareServers(t, {
    ...digests,
    'a digest that is none': {
      main: { ...main, smtpd_tls_fingerprint_digest: 'md7' },
      sessions: { all: [HELLO, 'STARTTLS', 'QUIT'] },
    },
    'a directory of authorities': {
      main: {
        ...main,
        smtpd_tls_CAfile: '',
        smtpd_tls_CApath: caPath,
        ...relay('permit_tls_all_clientcerts'),
      },
      sessions,
    },
    'no authorities': {
      main: { ...main, smtpd_tls_CAfile: '', ...relay('permit_tls_all_clientcerts') },
      sessions,
    },
    'chains of no length': {
      main: { ...main, smtpd_tls_ccert_verifydepth: '0', ...relay('permit_tls_all_clientcerts') },
      sessions,
    },
    'nothing is logged': { main: { ...main, smtpd_tls_loglevel: '0' }, sessions },
    'a level in words': {
      main: { ...main, smtpd_tls_loglevel: 'routine' },
      sessions: { known: session(known) },
    },
    'the key is with the certificate': {
      main: {
        ...main,
        smtpd_tls_cert_file: joinFiles(`${directory}/both.pem`, rsa.pem.cert, rsa.pem.key),
        smtpd_tls_key_file: '$smtpd_tls_cert_file',
      },
      sessions: { none: session({}) },
    },
    'two chain files': {
      main: {
        ...main,
        smtpd_tls_chain_files: [
          joinFiles(`${directory}/one.pem`, rsa.pem.key, rsa.pem.cert),
          joinFiles(`${directory}/two.pem`, strange.key, strange.cert),
        ].join(', '),
      },
      sessions: {
        RSA: session({ sigalgs: 'RSA-PSS+SHA256' }),
        ECDSA: session({ sigalgs: 'ECDSA+SHA256' }),
        both: session({}),
      },
    },
    'the last chain has no key': {
      main: {
        ...main,
        smtpd_tls_chain_files: [
          joinFiles(`${directory}/first.pem`, rsa.pem.key, rsa.pem.cert),
          joinFiles(`${directory}/last.pem`, strange.cert),
        ].join(' '),
      },
      sessions: { all: [HELLO, 'STARTTLS', 'QUIT'] },
    },
    'names in capitals and in odd letters': {
      main: {
        ...main,
        smtpd_tls_loglevel: '1',
        tls_server_sni_maps: `inline:{a.test=${directory}/one.pem}`,
      },
      sessions: {
        capitals: session({ servername: 'A.TEST' }),
        odd: session({ servername: 'a_b.test' }),
        'with a dot': session({ servername: 'a.test.' }),
      },
    },
  });
});
