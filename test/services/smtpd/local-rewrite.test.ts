/** local_header_rewrite_clients: whose addresses are completed, by Postfix's smtpd and ours. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeCertificates } from '../../support/certificates.ts';
import { readyFiles } from '../../support/ready-file.ts';
import { type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import type { Session } from './compare.ts';
import { type Step, send } from './dialogue.ts';
import { type ServerPair, startServerPairs } from './server-pair.ts';

const EHLO = 'EHLO client.test';
const MESSAGE: readonly Step[] = [
  'MAIL FROM:<ann>',
  'RCPT TO:<root@lab.test>',
  'DATA',
  send('From: ann\r\n\r\nhello\r\n.\r\n'),
];

test('local_header_rewrite_clients has the same clients as in Postfix', {
  skip: whyNoPostfix(),
}, async (t) => {
  const maker = makeCertificates(t);
  const server = maker.make('server', '/CN=mx.lab.test');
  const known = maker.make('known', '/CN=known.client.test');
  const stranger = maker.make('stranger', '/CN=stranger', { isSelfSigned: true });
  const secured = (options = {}): Step[] => [EHLO, 'STARTTLS', { tls: options }, EHLO, ...MESSAGE];
  const sessions: Readonly<Record<string, Session>> = {
    'our own address': { steps: [EHLO, ...MESSAGE] },
    'another address': { from: '127.0.0.5', steps: [EHLO, ...MESSAGE, ...MESSAGE] },
    'TLS without a certificate': { from: '127.0.0.5', steps: secured() },
    'a trusted certificate': { from: '127.0.0.5', steps: [...secured(known.pem), ...MESSAGE] },
    'a listed certificate': { from: '127.0.0.5', steps: secured(stranger.pem) },
    'a sender that is none': { from: '127.0.0.5', steps: [EHLO, 'MAIL FROM:<a b>', ...MESSAGE] },
  };
  const asking = {
    smtpd_tls_security_level: 'may',
    smtpd_tls_eccert_file: server.certificate,
    smtpd_tls_eckey_file: server.key,
    smtpd_tls_ask_ccert: 'yes',
    smtpd_tls_CAfile: maker.authority,
    relay_clientcerts: `inline:{{${stranger.fingerprint} = stranger}}`,
    inet_interfaces: '127.0.0.1',
  };
  const rule = (text: string, more = {}) => ({
    ...asking,
    local_header_rewrite_clients: text,
    ...more,
  });
  const pairs = await startServerPairs(
    t,
    {
      none: rule(''),
      interfaces: rule('Permit_Inet_Interfaces'),
      networks: rule('permit_mynetworks'),
      certificates: rule('permit_tls_clientcerts'),
      'all certificates': rule('permit_mynetworks permit_tls_all_clientcerts'),
      'certificates that nobody is asked for': rule('permit_tls_all_clientcerts', {
        smtpd_tls_ask_ccert: 'no',
      }),
      'certificates that fail': rule('permit_tls_clientcerts', {
        relay_clientcerts: 'fail:always',
      }),
      'a table': rule('inline:{{127.0.0.9=x}}, check_address_map inline:{{127.0.0.5=x}}'),
      'a network': rule('cidr:{{127.0.0.4/31 x}}'),
      'a table that fails': rule('permit_inet_interfaces, check_address_map fail:always'),
      'what makes no sense': rule('foo, permit_mynetworks, bar'),
    },
    { keepsMail: true },
  );
  const contexts = new Set<string>();
  for (const [setting, pair] of Object.entries(pairs)) {
    for (const [name, { steps, from }] of Object.entries(sessions)) {
      await t.test(`${setting}: ${name}`, async () => {
        const found = await pair.converse(steps, { from });
        assert.deepEqual(found.ours, found.real);
        const { ours, real } = takeContexts(pair);
        assert.deepEqual(ours, real);
        for (const context of ours) contexts.add(`${setting}: ${context}`);
      });
    }
  }
  for (const setting of ['certificates', 'all certificates', 'a table']) {
    assert.ok(contexts.has(`${setting}: local`), setting);
  }
  assert.ok(contexts.has('certificates: remote'));
});

/** Takes all messages out of the queue. @returns how each is to be rewritten */
function takeContexts({ mail, doors }: ServerPair): Record<Maker, string[]> {
  const contexts: Record<Maker, string[]> = { ours: [], real: [] };
  // What was refused may have a file that is going to be removed.
  for (const { path } of readyFiles(join(mail.queue, 'incoming'))) {
    const text = readFileSync(path, 'latin1');
    rmSync(path);
    const host = /server_address=([\d.]+)/.exec(text)?.[1];
    // A notice to postmaster.
    if (host === undefined) continue;
    const maker = doors.ours.host === host ? 'ours' : 'real';
    contexts[maker].push(/rewrite_context=([a-z]+)/.exec(text)?.[1] ?? '');
  }
  return contexts;
}
