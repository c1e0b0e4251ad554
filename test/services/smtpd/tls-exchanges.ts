/** Sessions with TLS: what main.cf has, and what a client says then. */
import { X509Certificate } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';
import { fingerprintOf } from '../../../lib/tls/peer-certificate.ts';
import type { CertificateMaker } from '../../support/certificates.ts';
import { joinFiles } from '../../support/certificates.ts';
import type { Settings } from './compare.ts';
import { type Secure, type Step, send } from './dialogue.ts';

const HELLO = 'EHLO client.test';
const MAIL = 'MAIL FROM:<ann@client.test>';
const RCPT = 'RCPT TO:<root@lab.test>';
const FAR = 'RCPT TO:<bob@far.test>';
const tls = (options: ConnectionOptions = {}, replies = 0): Secure => ({ tls: options, replies });
const starttls = (options: ConnectionOptions = {}, replies = 0): Step[] => [
  HELLO,
  'STARTTLS',
  tls(options, replies),
];
/** TLS before anything else. */
const wrapped = (options: ConnectionOptions, ...steps: readonly Step[]) => ({
  early: true,
  steps: [tls(options, 1), ...steps],
});

/** @param hello the first words of a client that means to speak TLS */
export function tlsSettings(maker: CertificateMaker, hello: Buffer): Settings {
  const greeting = send(hello.toString('latin1'), 0);
  const rsa = maker.make('rsa', '/CN=mx.lab.test', { key: 'rsa:2048' });
  const ec = maker.make('ec', '/CN=mx.lab.test');
  const sni = maker.make('sni', '/CN=sni.lab.test', { key: 'secp384r1' });
  const known = maker.make('known', '/CN=known.client.test/O=Known', { key: 'rsa:2048' });
  const listed = maker.make('listed', '/CN=listed (a) client/O=x', { isSelfSigned: true });
  const { directory } = maker;
  const chains = joinFiles(
    `${directory}/chains.pem`,
    rsa.pem.key,
    rsa.pem.cert,
    ec.pem.key,
    ec.pem.cert,
  );
  const named = joinFiles(`${directory}/named.pem`, sni.pem.key, sni.pem.cert);
  const wrong = joinFiles(`${directory}/wrong.pem`, sni.pem.cert);
  const names = joinFiles(
    `${directory}/names`,
    `sni.lab.test ${named}\n.wild.test ${named}\nwrong.test ${wrong}\n`,
  );
  const oldPrint = fingerprintOf(new X509Certificate(listed.pem.cert).raw, 'md5');
  const oldAccess = joinFiles(`${directory}/old-access`, `${oldPrint} REJECT not you\n`);
  const oldList = joinFiles(`${directory}/old-list`, `${oldPrint} listed\n`);
  const certificates = joinFiles(`${directory}/certificates`, `${listed.fingerprint} listed\n`);
  const access = joinFiles(
    `${directory}/access`,
    `${listed.fingerprint} REJECT not you\n${known.keyFingerprint} OK\n`,
  );
  const main = {
    smtpd_tls_security_level: 'may',
    smtpd_tls_cert_file: rsa.certificate,
    smtpd_tls_key_file: rsa.key,
    smtpd_tls_eccert_file: ec.certificate,
    smtpd_tls_eckey_file: ec.key,
    smtpd_tls_loglevel: '1',
  };
  const bare = { smtpd_tls_security_level: 'may', smtpd_tls_loglevel: '1' };
  const asking = { ...main, smtpd_tls_ask_ccert: 'yes', smtpd_tls_CAfile: maker.authority };
  const rules = (...words: readonly string[]) => ({
    smtpd_relay_restrictions: [...words, 'reject_unauth_destination'].join(','),
    mynetworks: '192.0.2.1',
  });
  const bounded = {
    smtpd_client_event_limit_exceptions: '',
    smtpd_client_connection_count_limit: '0',
  };
  return {
    'TLS when the client likes': {
      main,
      sessions: {
        'state is forgotten': [
          HELLO,
          MAIL,
          'STARTTLS',
          tls(),
          MAIL,
          'RSET',
          HELLO,
          MAIL,
          RCPT,
          'QUIT',
        ],
        'once is enough': [...starttls(), HELLO, 'STARTTLS', 'starttls x', 'QUIT'],
        'with arguments': [HELLO, 'STARTTLS now', 'QUIT'],
        'without EHLO': ['STARTTLS', tls(), 'HELO x', MAIL, 'QUIT'],
        'what is sent along is lost': [
          HELLO,
          send('STARTTLS\r\nMAIL FROM:<evil@x.test>\r\n'),
          tls(),
          'NOOP',
          RCPT,
          'QUIT',
        ],
        RSA: [...starttls({ sigalgs: 'RSA-PSS+SHA256' }), 'QUIT'],
        'TLS 1.2': [
          ...starttls({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }),
          'QUIT',
        ],
        'TLS 1.0': [
          ...starttls({
            minVersion: 'TLSv1',
            maxVersion: 'TLSv1',
            ciphers: 'AES128-SHA@SECLEVEL=0',
          }),
          'QUIT',
        ],
        'another group': [...starttls({ ecdhCurve: 'P-521' }), 'QUIT'],
        'the client says nothing more': [HELLO, 'STARTTLS', 'half-close', 'await end'],
        'the client begins TLS, and says nothing more': [
          HELLO,
          'STARTTLS',
          greeting,
          'half-close',
          'await end',
        ],
        'the client begins TLS, and leaves': [HELLO, 'STARTTLS', greeting],
        'the client goes on in plain text': [
          HELLO,
          'STARTTLS',
          send('EHLO again\r\n', 0),
          'await end',
        ],
        'lost after EHLO': [...starttls(), HELLO],
        'a wrong name': [...starttls({ servername: 'bob.test' }), HELLO, 'QUIT'],
      },
    },
    'TLS is a must': {
      main: { ...main, smtpd_tls_security_level: 'encrypt' },
      sessions: {
        'before it': [
          'HELO x',
          HELLO,
          MAIL,
          'VRFY x',
          'NOOP',
          'RSET',
          'bogus',
          'AUTH PLAIN',
          'DATA',
          'ETRN x',
          'BDAT 1',
          'XCLIENT NAME=x',
          'QUIT',
        ],
        'with it': [...starttls(), HELLO, MAIL, RCPT, 'QUIT'],
      },
    },
    'no TLS': {
      main: { ...main, smtpd_tls_security_level: 'none' },
      sessions: { refused: [HELLO, 'STARTTLS', 'QUIT'] },
    },
    'the keyword is discarded': {
      main: { ...main, smtpd_discard_ehlo_keywords: 'starttls' },
      sessions: { refused: [HELLO, 'STARTTLS', 'QUIT'] },
    },
    'old parameters': {
      main: { ...main, smtpd_tls_security_level: '', smtpd_enforce_tls: 'yes' },
      sessions: { enforced: [HELLO, MAIL, ...starttls(), MAIL, 'QUIT'] },
    },
    'a level of the client': {
      main: { ...main, smtpd_tls_security_level: 'secure' },
      sessions: { 'is encrypt': [HELLO, MAIL, 'QUIT'] },
    },
    'no certificate': { main: bare, sessions: { unavailable: [HELLO, 'STARTTLS', MAIL, 'QUIT'] } },
    'a key of another': {
      main: { ...bare, smtpd_tls_cert_file: rsa.certificate, smtpd_tls_key_file: ec.key },
      sessions: { unavailable: [HELLO, 'STARTTLS', 'QUIT'] },
    },
    'a chain in the wrong order': {
      main: { ...bare, smtpd_tls_chain_files: rsa.certificate },
      sessions: { unavailable: [HELLO, 'STARTTLS', 'QUIT'] },
    },
    chains: {
      main: { ...bare, smtpd_tls_chain_files: chains },
      sessions: {
        ECDSA: [...starttls(), 'QUIT'],
        RSA: [...starttls({ sigalgs: 'RSA-PSS+SHA512:RSA-PSS+SHA256' }), 'QUIT'],
      },
    },
    'nothing but strangers': {
      main: { ...bare, smtpd_tls_cert_file: 'none' },
      sessions: {
        anonymous: [...starttls({ ciphers: 'aNULL@SECLEVEL=0', maxVersion: 'TLSv1.2' }), 'QUIT'],
      },
    },
    'protocols that do not exist': {
      main: { ...main, smtpd_tls_protocols: '>=TLSv9' },
      sessions: { unavailable: [HELLO, 'STARTTLS', 'QUIT'] },
    },
    'newer protocols only': {
      main: { ...main, smtpd_tls_protocols: '>=TLSv1.3' },
      sessions: {
        'an older client': [...starttls({ maxVersion: 'TLSv1.2' }), 'await end'],
        'a newer one': [...starttls(), 'QUIT'],
      },
    },
    'a grade that does not exist': {
      main: { ...main, smtpd_tls_ciphers: 'best' },
      sessions: { dropped: [...starttls(), 'await end'] },
    },
    'excluded ciphers': {
      main: { ...main, smtpd_tls_exclude_ciphers: 'AES256, kRSA' },
      sessions: {
        'the next': [
          ...starttls({
            maxVersion: 'TLSv1.2',
            ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256',
          }),
          'QUIT',
        ],
        none: [
          ...starttls({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES256-GCM-SHA384' }),
          'await end',
        ],
      },
    },
    'one group': {
      main: { ...main, tls_eecdh_auto_curves: 'prime256v1' },
      sessions: { 'asked for again': [...starttls({ ecdhCurve: 'X25519:P-256' }), 'QUIT'] },
    },
    'TLS from the beginning': {
      main: { ...main, smtpd_tls_wrappermode: 'yes' },
      sessions: {
        mail: wrapped({}, HELLO, 'STARTTLS', MAIL, RCPT, 'QUIT'),
        'plain text': { early: true, steps: [send('EHLO x\r\n', 0), 'await end'] },
        'half a handshake': { early: true, steps: [greeting, 'half-close', 'await end'] },
        'gone in mid-handshake': { early: true, steps: [greeting] },
      },
    },
    'TLS from the beginning, without a certificate': {
      main: { ...bare, smtpd_tls_wrappermode: 'yes' },
      sessions: { dropped: { early: true, steps: ['await end'] } },
    },
    'clients may show certificates': {
      main: {
        ...asking,
        ...rules('permit_tls_clientcerts'),
        relay_clientcerts: `texthash:${certificates}`,
      },
      sessions: {
        none: [...starttls(), HELLO, MAIL, FAR, 'QUIT'],
        trusted: [...starttls(known.pem), HELLO, MAIL, FAR, 'QUIT'],
        listed: [...starttls(listed.pem), HELLO, MAIL, FAR, 'QUIT'],
        'trusted, TLS 1.2': [
          ...starttls({ ...known.pem, maxVersion: 'TLSv1.2' }),
          HELLO,
          MAIL,
          FAR,
          'QUIT',
        ],
      },
    },
    'clients with any certificate that is trusted': {
      main: {
        ...asking,
        ...rules('permit_tls_all_clientcerts'),
        smtpd_log_access_permit_actions: 'static:all',
      },
      sessions: {
        plain: [HELLO, MAIL, FAR, 'QUIT'],
        trusted: [...starttls(known.pem), HELLO, MAIL, FAR, 'QUIT'],
        listed: [...starttls(listed.pem), HELLO, MAIL, FAR, 'QUIT'],
      },
    },
    'access by certificate': {
      main: { ...asking, ...rules(`check_ccert_access texthash:${access}`) },
      sessions: {
        plain: [HELLO, MAIL, FAR, 'QUIT'],
        listed: [...starttls(listed.pem), HELLO, MAIL, FAR, 'QUIT'],
        trusted: [...starttls(known.pem), HELLO, MAIL, FAR, 'QUIT'],
      },
    },
    'access by what does not exist': {
      main: {
        ...asking,
        ...rules(`check_ccert_access {texthash:${access}, {search_order = subject_cn}}`),
      },
      sessions: { trusted: [...starttls(known.pem), HELLO, MAIL, FAR, 'QUIT'] },
    },
    'access by public key': {
      main: {
        ...asking,
        ...rules(`check_ccert_access {texthash:${access}, {search_order = pubkey_fingerprint}}`),
      },
      sessions: {
        trusted: [...starttls(known.pem), HELLO, MAIL, FAR, 'QUIT'],
        listed: [...starttls(listed.pem), HELLO, MAIL, FAR, 'QUIT'],
      },
    },
    'fingerprints of an old level': {
      main: {
        ...asking,
        ...rules(
          `check_ccert_access texthash:${access}`,
          'permit_tls_clientcerts',
          'permit_tls_all_clientcerts',
        ),
        compatibility_level: '3.5',
      },
      sessions: {
        plain: [HELLO, MAIL, FAR, 'QUIT'],
        none: [...starttls(), HELLO, MAIL, FAR, 'QUIT'],
        listed: [...starttls(listed.pem), HELLO, MAIL, FAR, FAR, 'QUIT'],
        trusted: [...starttls(known.pem), HELLO, MAIL, FAR, 'QUIT'],
      },
    },
    'fingerprints that are found': {
      main: {
        ...asking,
        ...rules('permit_tls_clientcerts'),
        compatibility_level: '3.5',
        relay_clientcerts: `texthash:${oldList}`,
        smtpd_recipient_restrictions: `check_ccert_access texthash:${oldAccess}`,
      },
      sessions: { listed: [...starttls(listed.pem), HELLO, MAIL, FAR, 'QUIT'] },
    },
    'md5 by choice': {
      main: {
        ...asking,
        ...rules('permit_tls_clientcerts'),
        compatibility_level: '3.5',
        relay_clientcerts: `texthash:${oldList}`,
        smtpd_tls_fingerprint_digest: 'md5',
      },
      sessions: { listed: [...starttls(listed.pem), HELLO, MAIL, FAR, 'QUIT'] },
    },
    'certificates are a must': {
      main: { ...asking, smtpd_tls_security_level: 'encrypt', smtpd_tls_req_ccert: 'yes' },
      sessions: {
        none: [...starttls(), HELLO, 'await end'],
        unknown: [...starttls(listed.pem), HELLO, 'await end'],
        trusted: [...starttls(known.pem), HELLO, MAIL, RCPT, 'QUIT'],
      },
    },
    'certificates are a must, TLS is not': {
      main: { ...asking, smtpd_tls_ask_ccert: 'no', smtpd_tls_req_ccert: 'yes' },
      sessions: { nobody: [...starttls(), HELLO, MAIL, RCPT, 'QUIT'] },
    },
    'plain text is rejected': {
      main: {
        ...main,
        smtpd_sender_restrictions: 'reject_plaintext_session',
        smtpd_delay_reject: 'no',
      },
      sessions: { both: [HELLO, MAIL, ...starttls(), HELLO, MAIL, 'QUIT'] },
    },
    names: {
      main: { ...main, tls_server_sni_maps: `texthash:${names}` },
      sessions: {
        one: [...starttls({ servername: 'SNI.lab.test' }), 'QUIT'],
        'in a domain': [...starttls({ servername: 'a.b.wild.test' }), 'QUIT'],
        unknown: [...starttls({ servername: 'other.test' }), 'QUIT'],
      },
    },
    'few new sessions': {
      main: { ...main, ...bounded, smtpd_client_new_tls_session_rate_limit: '1' },
      sessions: {
        first: [...starttls(), HELLO, 'QUIT'],
        'one too many': [...starttls({}, 1), 'await end'],
        none: [HELLO, 'STARTTLS', HELLO, 'QUIT'],
      },
    },
    'few new sessions, from the beginning': {
      main: {
        ...main,
        ...bounded,
        smtpd_client_new_tls_session_rate_limit: '1',
        smtpd_tls_wrappermode: 'yes',
      },
      sessions: {
        first: wrapped({}, HELLO, 'QUIT'),
        'one too many': wrapped({}, 'await end'),
        none: { early: true, steps: ['await end'] },
      },
    },
    'clients may be proxies': {
      main: { ...main, smtpd_authorized_xclient_hosts: '127.0.0.1' },
      sessions: {
        'XCLIENT in TLS': [
          ...starttls(),
          HELLO,
          'XCLIENT NAME=a.test ADDR=192.0.2.7',
          HELLO,
          'STARTTLS',
          MAIL,
          'QUIT',
        ],
        'XCLIENT before': [
          HELLO,
          'XCLIENT NAME=a.test ADDR=192.0.2.7 HELO=x PROTO=ESMTP',
          ...starttls(),
          HELLO,
          MAIL,
          'QUIT',
        ],
      },
    },
    'no time': {
      main: { ...main, smtpd_starttls_timeout: '1s' },
      sessions: { waited: [HELLO, 'STARTTLS', 'await end'] },
    },
  };
}
