/** AUTH with smtpd_sasl_type = cyrus, which is the default: a real saslauthd, and a real sasldb2. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { saslWith, startDovecot, whyNoDovecot } from '../../support/dovecot.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { startSaslauthd, whyNoSaslauthd, writeSasldb } from '../../support/saslauthd.ts';
import { compareServers, type Setting } from './compare.ts';
import type { Step } from './dialogue.ts';
import { tryMechanisms } from './sasl-client.ts';
import { startServerPairs } from './server-pair.ts';
import { EHLO, FROM, QUIT } from './steps.ts';

const skip = whyNoPostfix() || whyNoSaslauthd();
const FAR = 'RCPT TO:<u@far.test>';

const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');
const plain = (user: string, password: string, as = '') =>
  `AUTH PLAIN ${base64(`${as}\0${user}\0${password}`)}`;
const stranger = (...steps: readonly Step[]) => ({ from: '127.0.0.5', steps });

const SESSIONS: Setting['sessions'] = {
  PLAIN: stranger(EHLO, plain('joe', 'secret'), FROM, FAR, QUIT),
  'a wrong password': stranger(EHLO, plain('joe', 'wrong'), FROM, FAR, QUIT),
  'nobody of that name': stranger(EHLO, plain('nobody', 'secret'), QUIT),
  'as somebody else': stranger(EHLO, plain('joe', 'secret', 'ann'), QUIT),
  'a realm': stranger(EHLO, plain('ann@lab.test', 'p w'), FROM, FAR, QUIT),
  LOGIN: stranger(EHLO, 'AUTH LOGIN', base64('joe'), base64('secret'), FROM, FAR, QUIT),
  'LOGIN, the name first': stranger(EHLO, `AUTH LOGIN ${base64('joe')}`, base64('x'), QUIT),
  'LOGIN, given up': stranger(EHLO, 'AUTH LOGIN', base64('joe'), '*', QUIT),
  'no such mechanism': stranger(EHLO, 'AUTH FOO', 'AUTH GSSAPI', QUIT),
  'no base64': stranger(EHLO, 'AUTH PLAIN !!!!', 'AUTH LOGIN', '$$$$', QUIT),
  'no structure': stranger(EHLO, `AUTH PLAIN ${base64('joe')}`, QUIT),
  'PLAIN in two steps': stranger(EHLO, 'AUTH PLAIN', base64('\0joe\0secret'), FROM, FAR, QUIT),
};

const cyrus = (name: string, realm = ''): Setting['main'] => ({
  smtpd_sasl_auth_enable: 'yes',
  smtpd_sasl_path: name,
  smtpd_sasl_local_domain: realm,
  smtpd_hard_error_limit: '100',
});

test('clients log in as with Postfix, with saslauthd or sasldb2 behind', { skip }, async (t) => {
  const saslauthd = await startSaslauthd(t, { joe: 'secret', ann: 'p w' });
  const users = { 'joe@mx.lab.test': 'secret', 'ann@lab.test': 'p w', 'joe@far.test': 'secret' };
  const sasldb = `sasldb_path: ${writeSasldb(t, users)}`;
  const gone = 'saslauthd_path: /nowhere/mux';
  const confs: Readonly<Record<string, readonly string[]>> = {
    saslauthd: ['pwcheck_method: saslauthd', `saslauthd_path: ${saslauthd.path}`],
    sasldb: ['pwcheck_method: auxprop', sasldb],
    both: ['pwcheck_method: saslauthd auxprop', gone, sasldb],
    gone: ['pwcheck_method: saslauthd', gone],
    nowhere: ['sasldb_path: /nowhere/sasldb2'],
  };
  const files = Object.fromEntries(
    Object.entries(confs).map(([name, lines]) => [
      `sasl/${name}.conf`,
      [...lines, 'mech_list: plain login', ''].join('\n'),
    ]),
  );
  const joe = { PLAIN: stranger(EHLO, plain('joe', 'secret'), QUIT) };
  await compareServers(
    t,
    {
      saslauthd: { main: cyrus('saslauthd'), sessions: SESSIONS },
      'saslauthd, and a realm': { main: cyrus('saslauthd', 'far.test'), sessions: SESSIONS },
      sasldb2: { main: cyrus('sasldb'), sessions: SESSIONS },
      'sasldb2, and a realm': { main: cyrus('sasldb', 'far.test'), sessions: SESSIONS },
      'one, then the other': { main: cyrus('both'), sessions: joe },
      'nobody there': { main: cyrus('gone'), sessions: joe },
      'no file': { main: cyrus('nowhere'), sessions: joe },
    },
    { files },
  );
});

test('all mechanisms take the right password, and no other', {
  skip: skip || whyNoDovecot(),
}, async (t) => {
  const credentials = { user: 'joe', password: 'secret' };
  const sasldb = writeSasldb(t, { 'joe@mx.lab.test': credentials.password });
  const listed = 'mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 DIGEST-MD5';
  const files = { 'sasl/all.conf': `sasldb_path: ${sasldb}\n${listed}\n` };
  const dovecot = saslWith(await startDovecot(t, { joe: credentials.password }));
  const settings = { sasldb: cyrus('all'), dovecot };
  const pairs = await startServerPairs(t, settings, { files });
  const mechanisms = ['PLAIN', 'LOGIN', 'CRAM-MD5', 'SCRAM-SHA-256'];
  const expected = Object.fromEntries(mechanisms.map((name) => [name, ['235', '535', '535']]));
  for (const { doors } of Object.values(pairs)) {
    for (const door of Object.values(doors)) {
      assert.deepEqual(await tryMechanisms(door, mechanisms, credentials), expected);
    }
  }
  await pairs.sasldb.mail.waitForLog(
    /ours-sasldb\/smtpd.*all\.conf, line 2: mech_list: DIGEST-MD5 is not built in Posthaste/,
  );
});
