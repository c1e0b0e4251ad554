/** Restrictions that look at a client's certificate in their odd forms, and odd certificates of ours. */
import type { ConnectionOptions } from 'node:tls';
import type { CertificateMaker } from '../../support/certificates.ts';
import type { Settings } from './compare.ts';
import type { Step } from './dialogue.ts';

const EHLO = 'EHLO client.test';
const FROM = 'MAIL FROM:<ann@client.test>';
const FAR = 'RCPT TO:<u@far.test>';
const QUIT = 'QUIT';

/** What may stand behind check_ccert_access. */
const TABLES = [
  ...['static:info', '{static:info}', '{static:info, {search_order}}', '{static:info, x}'],
  ...['{static:info, {search_order=}}', '{static:info, {search_order = subject_cn}}', '{}'],
  ...['{static:info {search_order = bogus, cert_fingerprint}}', '{static:info, {=x}}'],
  ...['{static:info {search_order = pubkey_fingerprint, cert_fingerprint}}', '{static:info}x'],
  ...['{foo, {search_order=cert_fingerprint}}', '{static:info, {SEARCH_ORDER=Cert_Fingerprint}}'],
  ...['{static:info, search_order=cert_fingerprint}', '{static:info, {foo = bar}}', 'foo'],
  ...['{static:info, {search_order=cert_fingerprint}, {search_order=x}}'],
  ...[
    '{static:info, {search_order=subject_cn, cert_fingerprint}}',
    '{fail:always, {search_order=cert_fingerprint}}',
  ],
];

export function certificateSettings(maker: CertificateMaker): Settings {
  const rsa = maker.make('rsa', '/CN=mx.lab.test', { key: 'rsa:2048' });
  const known = maker.make('known', '/CN=known.client.test/O=Known', { key: 'rsa:2048' });
  const main = {
    smtpd_tls_security_level: 'may',
    smtpd_tls_cert_file: rsa.certificate,
    smtpd_tls_key_file: rsa.key,
    smtpd_tls_CAfile: maker.authority,
    mynetworks: '192.0.2.1',
    smtpd_hard_error_limit: '100',
    smtpd_soft_error_limit: '100',
  };
  const asking = { ...main, smtpd_tls_ask_ccert: 'yes' };
  const relay = (text: string) => ({
    smtpd_relay_restrictions: `${text}, reject_unauth_destination`,
  });
  const sessions = (...recipients: readonly string[]): Record<string, Step[]> => ({
    plain: [EHLO, FROM, ...recipients, QUIT],
    TLS: [EHLO, 'STARTTLS', { tls: {} }, EHLO, FROM, ...recipients, QUIT],
    'a certificate': [EHLO, 'STARTTLS', { tls: known.pem }, EHLO, FROM, ...recipients, QUIT],
  });
  const dsa = maker.make('dsa', '/CN=mx.lab.test', { key: 'dsa' });
  const dsaMain = {
    smtpd_tls_security_level: 'may',
    smtpd_tls_loglevel: '1',
    smtpd_tls_dcert_file: dsa.certificate,
    smtpd_tls_dkey_file: dsa.key,
  };
  const handshake = (options: ConnectionOptions): Step[] => [
    EHLO,
    'STARTTLS',
    { tls: options },
    QUIT,
  ];
  const old = { maxVersion: 'TLSv1.2' } as const;
  const dsaSessions = {
    'a client that knows DSA alone': handshake({
      ...old,
      ciphers: 'DHE-DSS-AES256-GCM-SHA384@SECLEVEL=0',
      sigalgs: 'DSA+SHA256',
    }),
    'a client that prefers DSA': handshake({
      ...old,
      ciphers: 'DHE-DSS-AES256-GCM-SHA384:ALL@SECLEVEL=0',
      sigalgs: 'DSA+SHA256:RSA-PSS+SHA256',
    }),
    'a client of today': handshake({}),
    'a client without TLS 1.3': handshake(old),
  };
  const forms = TABLES.flatMap((table) => [
    `check_ccert_access ${table}`,
    `warn_if_reject check_ccert_access ${table}`,
  ]);
  return {
    DSA: { main: dsaMain, sessions: dsaSessions },
    'DSA and RSA': {
      main: { ...dsaMain, smtpd_tls_cert_file: rsa.certificate, smtpd_tls_key_file: rsa.key },
      sessions: dsaSessions,
    },
    'DSA with another key': {
      main: { ...dsaMain, smtpd_tls_dkey_file: rsa.key },
      sessions: { unavailable: [EHLO, 'STARTTLS', QUIT] },
    },
    'nobody is asked for a certificate': {
      main: {
        ...main,
        ...relay('permit_tls_clientcerts, permit_tls_all_clientcerts, check_ccert_access static:x'),
      },
      sessions: sessions(FAR),
    },
    'a table of certificates that fails': {
      main: {
        ...asking,
        ...relay('warn_if_reject permit_tls_clientcerts, permit_tls_all_clientcerts'),
        relay_clientcerts: 'fail:always',
      },
      sessions: sessions(FAR),
    },
    'refused by both of its keys': {
      main: { ...asking, ...relay('warn_if_reject check_ccert_access static:reject') },
      sessions: sessions(FAR),
    },
    'odd tables of certificates': {
      main: {
        ...asking,
        smtpd_restriction_classes: forms.map((_form, at) => `class${at}`).join(' '),
        ...Object.fromEntries(forms.map((form, at) => [`class${at}`, form])),
        ...relay(
          `check_recipient_access inline:{ ${forms.map((_form, at) => `u${at}@far.test=class${at}`).join(', ')} }`,
        ),
      },
      sessions: sessions(...forms.map((_form, at) => `RCPT TO:<u${at}@far.test>`)),
    },
  };
}
