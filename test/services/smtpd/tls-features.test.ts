/**
 * What a handshake comes to by the parameters of TLS: the same clients at Postfix's smtpd and ours agree
 * on the same version, cipher, group, certificate, and ways to resume.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { constants } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { type ConnectionOptions, TLSSocket } from 'node:tls';
import { joinFiles, makeCertificates } from '../../support/certificates.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { Dialogue, type Door } from './dialogue.ts';
import { type Parameters, startServerPairs } from './server-pair.ts';

const WEAK = '@SECLEVEL=0';
const v12: ConnectionOptions = { maxVersion: 'TLSv1.2' };
const ciphers = (list: string): ConnectionOptions => ({ ...v12, ciphers: `${list}${WEAK}` });
const only = (version: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): ConnectionOptions => ({
  minVersion: version,
  maxVersion: version,
  ciphers: `ALL${WEAK}`,
});
const withoutTickets = { secureOptions: constants.SSL_OP_NO_TICKET };

interface Feature {
  readonly main: Parameters;
  readonly clients: Readonly<Record<string, ConnectionOptions>>;
}

const VERSIONS = {
  'TLS 1.0': only('TLSv1'),
  'TLS 1.1': only('TLSv1.1'),
  'TLS 1.2': only('TLSv1.2'),
  'TLS 1.3': only('TLSv1.3'),
};
const protocols = (value: string): Feature => ({
  main: { smtpd_tls_protocols: value },
  clients: VERSIONS,
});
const mandatory = (value: string): Feature => ({
  main: { smtpd_tls_security_level: 'encrypt', smtpd_tls_mandatory_protocols: value },
  clients: VERSIONS,
});
const GRADED = {
  anything: ciphers('ALL:COMPLEMENTOFALL'),
  'AES-256': ciphers('AES256-GCM-SHA384'),
  'AES-128': ciphers('AES128-SHA'),
  CAMELLIA: ciphers('CAMELLIA128-SHA'),
  'no encryption': ciphers('eNULL'),
  'no certificate': ciphers('aNULL'),
  'DHE alone': ciphers('DHE-RSA-AES128-GCM-SHA256'),
  'TLS 1.3': {},
};
const GROUPS = {
  'what Node offers': v12,
  X25519: { ...v12, ecdhCurve: 'X25519' },
  'P-256': { ...v12, ecdhCurve: 'P-256' },
  'P-384': { ...v12, ecdhCurve: 'P-384' },
  'P-521 or X448': { ...v12, ecdhCurve: 'P-521:X448' },
  'P-384, TLS 1.3': { ecdhCurve: 'P-384' },
  DHE: ciphers('DHE-RSA-AES128-GCM-SHA256'),
};
const CHOICE = {
  'AES-128 first': ciphers('ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384'),
  'AES-256 first': ciphers('ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256'),
  'RSA first': ciphers('AES128-SHA:ECDHE-RSA-AES256-GCM-SHA384'),
};
const RESUMING = {
  'TLS 1.2': v12,
  'TLS 1.2 without tickets': { ...v12, ...withoutTickets },
  'TLS 1.3': {},
  'TLS 1.3 without tickets': withoutTickets,
};

function features(dh: string, caPath: string, sealed: object): Readonly<Record<string, Feature>> {
  return {
    'all versions': protocols(''),
    'versions that are not wanted': protocols('!SSLv2:!SSLv3:!TLSv1:!TLSv1.2'),
    bounds: protocols('>=TLSv1.1, <=TLSv1.2'),
    'bounds in numbers': protocols('>=0302 <=0303'),
    'a version that is named and not wanted': protocols('TLSv1.2 TLSv1.3 !TLSv1.2'),
    'versions where TLS is a must, named': mandatory('!SSLv2, !SSLv3, !TLSv1.3'),
    'grade high': { main: { smtpd_tls_ciphers: 'high' }, clients: GRADED },
    'grade medium': { main: { smtpd_tls_ciphers: 'medium' }, clients: GRADED },
    'grade null': { main: { smtpd_tls_ciphers: 'null' }, clients: GRADED },
    'grades where TLS is a must': {
      main: {
        smtpd_tls_security_level: 'encrypt',
        smtpd_tls_mandatory_ciphers: 'high',
        smtpd_tls_mandatory_exclude_ciphers: 'kDHE, AES128',
        smtpd_tls_exclude_ciphers: 'aNULL',
      },
      clients: GRADED,
    },
    'a grade of our own': {
      main: { tls_medium_cipherlist: 'AES128-SHA:ECDHE-RSA-AES256-GCM-SHA384' },
      clients: { ...GRADED, ...CHOICE },
    },
    'the client chooses': { main: { tls_preempt_cipherlist: 'no' }, clients: CHOICE },
    'the server chooses': { main: { tls_preempt_cipherlist: 'yes' }, clients: CHOICE },
    'the server chooses, by an option': {
      main: { tls_ssl_options: 'CIPHER_SERVER_PREFERENCE' },
      clients: CHOICE,
    },
    'groups: none': {
      main: { smtpd_tls_eecdh_grade: 'none', tls_eecdh_auto_curves: 'secp384r1' },
      clients: GROUPS,
    },
    'groups: a grade that is none': {
      main: { smtpd_tls_eecdh_grade: 'best', tls_eecdh_auto_curves: 'X448 nonesuch' },
      clients: GROUPS,
    },
    'groups of our own': { main: { tls_eecdh_auto_curves: 'secp521r1 X448' }, clients: GROUPS },
    'DH parameters of our own': { main: { smtpd_tls_dh1024_param_file: dh }, clients: GROUPS },
    'DH parameters that are not there': {
      main: { smtpd_tls_dh1024_param_file: '/nowhere/dh.pem' },
      clients: GROUPS,
    },
    'nothing in particular': { main: {}, clients: { ...GROUPS, ...RESUMING } },
    'no time to resume in': { main: { smtpd_tls_session_cache_timeout: '0' }, clients: RESUMING },
    'no tickets': { main: { tls_ssl_options: 'NO_TICKET' }, clients: RESUMING },
    'session ids': { main: { smtpd_tls_always_issue_session_ids: 'no' }, clients: RESUMING },
    'other options': {
      main: { tls_ssl_options: 'NO_COMPRESSION, NO_RENEGOTIATION, PRIORITIZE_CHACHA' },
      clients: { ...CHOICE, ...RESUMING },
    },
    'a directory of authorities': {
      main: { smtpd_tls_ask_ccert: 'yes', smtpd_tls_CApath: caPath },
      clients: { trusted: sealed, none: {} },
    },
  };
}

test('a handshake comes to what it does with Postfix', {
  skip: whyNoPostfix(),
  concurrency: 4,
}, async (t) => {
  const maker = makeCertificates(t);
  const { directory } = maker;
  const rsa = maker.make('rsa', '/CN=mx.lab.test', { key: 'rsa:2048' });
  const client = maker.make('client', '/CN=client.test').pem;
  const dh = `${directory}/dh.pem`;
  spawnSync('openssl', ['dhparam', '-dsaparam', '-out', dh, '1024']);
  const caPath = `${directory}/authorities`;
  mkdirSync(caPath);
  joinFiles(
    `${caPath}/lab.pem`,
    spawnSync('cat', [maker.authority], { encoding: 'latin1' }).stdout,
  );
  spawnSync('openssl', ['rehash', caPath]);
  const table = features(dh, caPath, client);
  const common = {
    smtpd_tls_security_level: 'may',
    smtpd_tls_cert_file: rsa.certificate,
    smtpd_tls_key_file: rsa.key,
    smtpd_tls_protocols: '>=TLSv1',
    smtpd_tls_loglevel: '1',
  };
  const settings = Object.fromEntries(
    Object.entries(table).map(([name, { main }]) => [name, { ...main }]),
  );
  const pairs = await startServerPairs(t, settings, { common });
  await Promise.all(
    Object.entries(table).map(([name, { clients }]) =>
      t.test(name, async () => {
        const { doors } = pairs[name] ?? assert.fail();
        for (const [what, options] of Object.entries(clients)) {
          const found = (door: Door) => shakeHands(door, options);
          assert.deepEqual(await found(doors.ours), await found(doors.real), what);
        }
      }),
    ),
  );
});

/** What the client makes of it, twice: the second time with the session of the first. */
async function shakeHands(door: Door, options: ConnectionOptions): Promise<object[]> {
  const first = await meet(door, options);
  if (first.session === undefined) return [first.facts];
  const second = await meet(door, { ...options, session: first.session });
  return [first.facts, second.facts];
}

interface Meeting {
  readonly facts: object;
  readonly session: Buffer | undefined;
}

async function meet(door: Door, options: ConnectionOptions): Promise<Meeting> {
  const dialogue = new Dialogue(door);
  try {
    await dialogue.expect(1);
    await dialogue.play('EHLO client.test');
    await dialogue.play('STARTTLS');
    const reply = dialogue.replies.at(-1);
    if (!reply?.startsWith('220')) return { facts: { reply }, session: undefined };
    await dialogue.play({ tls: options });
    const { socket } = dialogue;
    if (!(socket instanceof TLSSocket) || socket.destroyed || socket.getProtocol() === null) {
      return { facts: { isRefused: true }, session: undefined };
    }
    await dialogue.play('EHLO client.test');
    const facts = {
      protocol: socket.getProtocol(),
      cipher: socket.getCipher()?.name,
      group: socket.getEphemeralKeyInfo(),
      subject: String(socket.getPeerCertificate()?.subject?.CN),
      isResumed: socket.isSessionReused(),
      hasTicket: socket.getTLSTicket() !== undefined,
      reply: dialogue.replies.at(-1)?.slice(0, 3),
    };
    await dialogue.play('QUIT');
    return { facts, session: dialogue.session };
  } finally {
    await dialogue.close();
  }
}
