/**
 * Every address trick from every class of client: our smtpd takes what Postfix's takes, and who is a
 * stranger, however disguised, may write to nobody whom a plain stranger may not write to. That what a
 * stranger may write to does not leave is shown in relay.test.ts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinFiles, makeCertificates } from '../../support/certificates.ts';
import { saslWith, startDovecot, whyNoDovecot } from '../../support/dovecot.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import type { Step } from './dialogue.ts';
import { send } from './dialogue.ts';
import { TRICKS } from './relay-tricks.ts';
import { type SessionOptions, startServerPairs } from './server-pair.ts';

const FRIEND = '127.0.0.1';
const STRANGER = '127.0.0.5';
const PROXY = '127.0.0.7';
const EHLO = 'EHLO client.test';
const SOMEONE = '<someone@far.test>';
const UNICODE = TRICKS.filter((trick) => /[\x80-\xff]/.test(trick));

interface Class extends SessionOptions {
  readonly server?: 'usual' | 'proxied';
  /** Up to MAIL. */
  readonly begin: readonly Step[];
  readonly relays?: boolean;
}

const login = (password: string) =>
  `AUTH PLAIN ${Buffer.from(`\0joe\0${password}`).toString('base64')}`;

/** @param listed, trusted certificates of clients */
function classes(listed: object, trusted: object): Readonly<Record<string, Class>> {
  const secured = (options: object): Step[] => [EHLO, 'STARTTLS', { tls: options }, EHLO];
  const told = (attributes: string): Class => ({
    from: PROXY,
    begin: [EHLO, `XCLIENT ${attributes}`, EHLO],
  });
  const forwarded = (from: string): Class => ({
    from,
    begin: [EHLO, 'XFORWARD NAME=mx.lab.test ADDR=127.0.0.1 SOURCE=LOCAL'],
  });
  const proxied = (header: string): Class => ({
    server: 'proxied',
    from: PROXY,
    early: true,
    begin: [send(`PROXY ${header} 5000 25\r\n`), EHLO],
  });
  const relays = (given: Class): Class => ({ ...given, relays: true });
  return {
    'a stranger': { from: STRANGER, begin: [EHLO] },
    'a stranger with HELO': { from: STRANGER, begin: ['HELO client.test'] },
    'a stranger who says he is us': { from: STRANGER, begin: ['EHLO mx.lab.test'] },
    'a stranger with TLS': { from: STRANGER, begin: secured({}) },
    'a stranger with a certificate that is trusted': { from: STRANGER, begin: secured(trusted) },
    'a stranger with a wrong password': { from: STRANGER, begin: [EHLO, login('wrong')] },
    'a login that TLS undoes': {
      from: STRANGER,
      begin: [EHLO, login('secret'), ...secured({}).slice(1)],
    },
    'a stranger who may not use XCLIENT': {
      from: STRANGER,
      begin: [EHLO, 'XCLIENT ADDR=127.0.0.1 LOGIN=joe'],
    },
    'a stranger who may not use XFORWARD': forwarded(STRANGER),
    'a stranger whose client is one of us': forwarded(PROXY),
    'a stranger who talks of a proxy': {
      from: STRANGER,
      begin: [send('PROXY TCP4 127.0.0.1 127.0.0.1 5000 25\r\n'), EHLO],
    },
    'XCLIENT, a stranger': told('ADDR=192.0.2.7'),
    'XCLIENT, a name of ours': told('ADDR=192.0.2.7 NAME=mx.lab.test'),
    'XCLIENT, nobody known': told('ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]'),
    'XCLIENT, a stranger with IPv6': told('ADDR=IPV6:2001:db8::7'),
    'XCLIENT, a stranger with IPv4 in IPv6': told('ADDR=IPV6:::ffff:192.0.2.7'),
    'XCLIENT, IPv4 that is compatible with IPv6': told('ADDR=IPV6:::127.0.0.1'),
    'a proxy, a stranger': proxied('TCP4 192.0.2.7 127.0.0.1'),
    'a proxy, a stranger with IPv6': proxied('TCP6 2001:db8::7 ::1'),
    'a proxy, a stranger with IPv4 in IPv6': proxied('TCP6 ::ffff:192.0.2.7 ::1'),
    'one of us': relays({ from: FRIEND, begin: [EHLO] }),
    'a login': relays({ from: STRANGER, begin: [EHLO, login('secret')] }),
    'a login with TLS': relays({ from: STRANGER, begin: [...secured({}), login('secret')] }),
    'a certificate that is listed': relays({ from: STRANGER, begin: secured(listed) }),
    'XCLIENT, one of us': relays(told('ADDR=127.0.0.1')),
    'XCLIENT, one of us with IPv4 in IPv6': relays(told('ADDR=IPV6:::ffff:127.0.0.1')),
    'XCLIENT, a login': relays(told('ADDR=192.0.2.7 LOGIN=joe')),
    'a proxy, one of us': relays(proxied('TCP4 127.0.0.1 127.0.0.1')),
    'a proxy, one of us with IPv4 in IPv6': relays(proxied('TCP6 ::ffff:127.0.0.1 ::1')),
  };
}

test('no trick makes a relay of us, whoever the client is', {
  skip: whyNoPostfix() || whyNoDovecot(),
}, async (t) => {
  const maker = makeCertificates(t);
  const server = maker.make('mx', '/CN=mx.lab.test');
  const listed = maker.make('listed', '/CN=listed', { isSelfSigned: true });
  const trusted = maker.make('trusted', '/CN=trusted');
  const list = joinFiles(`${maker.directory}/list`, `${listed.fingerprint} listed\n`);
  const main = {
    ...saslWith(await startDovecot(t, { joe: 'secret' })),
    smtpd_tls_security_level: 'may',
    smtpd_tls_cert_file: server.certificate,
    smtpd_tls_key_file: server.key,
    smtpd_tls_CAfile: maker.authority,
    smtpd_tls_ask_ccert: 'yes',
    smtpd_tls_fingerprint_digest: 'sha256',
    relay_clientcerts: `texthash:${list}`,
    smtpd_relay_restrictions:
      'permit_mynetworks, permit_sasl_authenticated, permit_tls_clientcerts, reject_unauth_destination',
    smtpd_authorized_xclient_hosts: PROXY,
    smtpd_authorized_xforward_hosts: PROXY,
    smtpd_hard_error_limit: '10000',
    inet_protocols: 'all',
  };
  const pairs = await startServerPairs(t, {
    usual: main,
    proxied: {
      ...main,
      smtpd_upstream_proxy_protocol: 'haproxy',
      mynetworks: `${FRIEND}, ${PROXY}`,
    },
  });
  const takenByStranger: string[] = [];
  for (const [name, given] of Object.entries(classes(listed.pem, trusted.pem))) {
    await t.test(name, async () => {
      const { ours, real } = await pairs[given.server ?? 'usual'].converse(
        [
          ...given.begin,
          'MAIL FROM:<spammer@client.test>',
          ...TRICKS.map((trick) => `RCPT TO:${trick}`),
          'RSET',
          'MAIL FROM:<spammer@client.test> SMTPUTF8',
          ...UNICODE.map((trick) => `RCPT TO:${trick}`),
          'QUIT',
        ],
        given,
      );
      assert.deepEqual(ours.replies, real.replies);
      const ofUnicode = UNICODE.length + 1;
      const answers = ours.replies.slice(-ofUnicode - 2 - TRICKS.length);
      const taken = [
        ...TRICKS.filter((_trick, at) => answers[at]?.startsWith('250')),
        ...UNICODE.filter((_trick, at) => answers[TRICKS.length + 2 + at]?.startsWith('250')),
      ];
      assert.match(answers[TRICKS.length] ?? '', /^250 2\.0\.0 Ok$/);
      if (name === 'a stranger') takenByStranger.push(...taken);
      assert.equal(taken.includes(SOMEONE), given.relays === true);
      if (given.relays !== true) {
        assert.deepEqual(
          taken.filter((trick) => !takenByStranger.includes(trick)),
          [],
        );
      }
    });
  }
  assert.ok(takenByStranger.length > 0);
});
