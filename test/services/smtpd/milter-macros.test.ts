/**
 * What milters are told of TLS, of logins, and of clients that come with IPv6: the same sessions, with
 * Postfix's smtpd and ours.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { makeCertificates } from '../../support/certificates.ts';
import { saslWith, startDovecot, whyNoDovecot } from '../../support/dovecot.ts';
import type { MilterScript } from '../../support/milter-peer.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { type Step, send } from './dialogue.ts';
import { type Scenario, startMilterServers } from './milter-servers.ts';

const EHLO = 'EHLO client.test';
const MESSAGE: readonly Step[] = [
  'MAIL FROM:<ann@client.test>',
  'RCPT TO:<bob@lab.test>',
  'DATA',
  send('Subject: x\r\n\r\ntext\r\n.\r\n'),
];
const secured = (options: ConnectionOptions = {}): Step[] => ['STARTTLS', { tls: options }, EHLO];
const login = (user: string, password: string) =>
  `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`;
const JOE = login('joe', 'secret');

const TLS = '{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}';
const AUTH = '{auth_type} {auth_authen} {auth_author} {auth_ssf}';
const EVERY = `${TLS} ${AUTH} {client_addr}`;

/** Macros of Postfix's own lists, and of a milter that wants all of them at every stage. */
const MILTERS: readonly MilterScript[] = [
  {},
  {
    options: {
      actions: 0x1ff,
      macros: { 0: EVERY, 1: EVERY, 2: EVERY, 3: EVERY, 4: EVERY, 5: EVERY },
    },
  },
];

const scenario = (...steps: readonly Step[]): Scenario => ({
  milters: MILTERS,
  steps: [...steps, 'QUIT'],
});

/** Plays all of them with both. */
async function compare(
  t: TestContext,
  scenarios: Readonly<Record<string, Scenario>>,
  main: Readonly<Record<string, string>>,
  options?: { readonly isIpv6: boolean },
): Promise<void> {
  const servers = await startMilterServers(
    t,
    scenarios,
    main,
    ['real-real', 'ours-ours', 'real-ours', 'ours-real'],
    options,
  );
  for (const name of Object.keys(scenarios)) {
    await t.test(name, async () => {
      const expected = await servers.play('real-real', name);
      assert.ok(expected.milters.flat().length > 0);
      for (const each of ['ours-ours', 'real-ours', 'ours-real'] as const) {
        assert.deepEqual(await servers.play(each, name, expected.log.length), expected, each);
      }
    });
  }
}

test('milters are told of TLS and of logins as by Postfix', {
  skip: whyNoPostfix() || whyNoDovecot(),
}, async (t) => {
  const maker = makeCertificates(t);
  const { certificate, key } = maker.make('mx', '/CN=mx.lab.test', { key: 'rsa:2048' });
  const known = maker.make('known', '/CN=known.client.test/O=Known (x)').pem;
  const unknown = maker.make('self', '/CN=self.client.test', { isSelfSigned: true }).pem;
  const nameless = maker.make('nameless', '/O=only an organisation').pem;
  const dovecot = await startDovecot(t, { joe: 'secret', 'o"dd ("': 'x' });
  const main = {
    ...saslWith(dovecot),
    smtpd_tls_security_level: 'may',
    smtpd_tls_cert_file: certificate,
    smtpd_tls_key_file: key,
    smtpd_tls_CAfile: maker.authority,
    smtpd_tls_ask_ccert: 'yes',
  };
  await compare(
    t,
    {
      'in plain text': scenario(EHLO, ...MESSAGE),
      'TLS 1.3': scenario(EHLO, ...secured(), ...MESSAGE),
      'TLS 1.2': scenario(
        EHLO,
        ...secured({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }),
        ...MESSAGE,
      ),
      'a certificate that is trusted': scenario(EHLO, ...secured(known), ...MESSAGE),
      'a certificate that is not': scenario(EHLO, ...secured(unknown), ...MESSAGE),
      'a certificate of no name': scenario(EHLO, ...secured(nameless), ...MESSAGE),
      'a login': scenario(EHLO, JOE, ...MESSAGE),
      'a login that fails, and one that does not': scenario(
        EHLO,
        login('joe', 'wrong'),
        JOE,
        ...MESSAGE,
      ),
      'an odd name': scenario(EHLO, login('o"dd ("', 'x'), ...MESSAGE),
      'a login for somebody else': scenario(
        EHLO,
        JOE,
        'MAIL FROM:<ann@client.test> AUTH=ann+40client.test',
        'RSET',
        'MAIL FROM:<ann@client.test> AUTH=<>',
        ...MESSAGE.slice(1),
      ),
      'for somebody else, without a login': scenario(
        EHLO,
        'MAIL FROM:<ann@client.test> AUTH=<>',
        ...MESSAGE.slice(1),
      ),
      'a login in TLS': scenario(EHLO, ...secured(known), JOE, ...MESSAGE),
      'a login before TLS is forgotten': scenario(EHLO, JOE, ...secured(), ...MESSAGE),
      'TLS in a message': scenario(EHLO, ...MESSAGE.slice(0, 2), ...secured(), ...MESSAGE),
      'EHLO after a login': scenario(EHLO, JOE, EHLO, ...MESSAGE),
    },
    main,
  );
});

const CLIENT = '_ {client_addr} {client_name} {client_port} {client_ptr} {client_resolve}';
const SERVER = '{daemon_addr} {daemon_name} {daemon_port} {client_connections}';

test('milters are told of clients with IPv6 as by Postfix', { skip: whyNoPostfix() }, async (t) => {
  const every = `${CLIENT} ${SERVER}`;
  const milters: readonly MilterScript[] = [
    {},
    { options: { actions: 0x1ff, macros: { 0: every, 2: every, 5: every } } },
  ];
  await compare(
    t,
    {
      'a client of IPv6': { milters, steps: [EHLO, ...MESSAGE, 'QUIT'] },
    },
    { inet_interfaces: 'all', inet_protocols: 'all', mynetworks: '127.0.0.0/8 [::1]' },
    { isIpv6: true },
  );
});

test('milters are told of other clients with IPv6 that a proxy speaks for', {
  skip: whyNoPostfix(),
}, async (t) => {
  const every = `${CLIENT} ${SERVER}`;
  const milters: readonly MilterScript[] = [
    {},
    { options: { actions: 0x1ff, macros: { 0: every, 2: every, 5: every } } },
  ];
  const sessions = [
    ['2001:db8::77', 'XCLIENT ADDR=IPV6:2001:db8::77 PORT=4711 NAME=six.test'],
    ['2001:db8::78', 'XCLIENT ADDR=ipv6:2001:0DB8:0:0:0:0:0:78 REVERSE_NAME=r.test HELO=h.test'],
  ] as const;
  await compare(
    t,
    Object.fromEntries(
      sessions.map(([client, line]) => [
        line,
        { milters, client, steps: [EHLO, line, EHLO, ...MESSAGE, 'QUIT'] },
      ]),
    ),
    { inet_protocols: 'all' },
  );
});
