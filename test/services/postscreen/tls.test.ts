/** STARTTLS: the same sessions with Postfix's postscreen and our tlsproxy, and the other way round. */
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { formatAttributes } from '../../../lib/ipc/attributes.ts';
import { type CertificateMaker, joinFiles, makeCertificates } from '../../support/certificates.ts';
import { atEnd } from '../../support/cleanup.ts';
import { makeClientHello } from '../../support/client-hello.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { type Secure, send } from '../smtpd/dialogue.ts';
import type { Parameters, ScreenStep } from './screen-pair.ts';
import { compareScreens, type Setting, startScreens } from './screen-settings.ts';

const GREETING: ScreenStep = { expect: 1 };
const EHLO = 'EHLO client.test';
const FROM = 'MAIL FROM:<ann@client.test>';
const TO = 'RCPT TO:<root@lab.test>';
const END = ['QUIT', 'await end'] as const;
const tls = (options: ConnectionOptions = {}): Secure => ({ tls: options });
const starttls = (options?: ConnectionOptions) => [EHLO, 'STARTTLS', tls(options)] as const;

/** Nobody waits for a greeting; the tests that come after it are for everybody. */
const QUICK = {
  postscreen_greet_banner: '',
  postscreen_pipelining_enable: 'yes',
  postscreen_non_smtp_command_enable: 'yes',
  postscreen_bare_newline_enable: 'yes',
};
const MAY = { ...QUICK, postscreen_tls_security_level: 'may' };
/** With a tlsproxy of its own. */
const WITH = { ...MAY, tlsproxy_tls_loglevel: '1' };

/** What a tlsproxy may say, each time that it has heard something, and what it does then. */
const SERVICES: Readonly<Record<string, readonly string[]>> = {
  closes: ['close'],
  speaks_otherwise: ['protocol tlsmgr_protocol'],
  announces: ['protocol tlsproxy_protocol', 'close'],
  refuses: ['protocol tlsproxy_protocol', 'status 0'],
  takes: ['protocol tlsproxy_protocol', 'status 1', 'close'],
  is_stuck: [],
  is_mute: ['protocol tlsproxy_protocol'],
};
/** Of these Postfix finds out after ten seconds. */
const SLOW = ['is_stuck', 'is_mute'];

const AGAIN = ['STARTTLS', FROM, TO, ...END];

function settings(maker: CertificateMaker, hello: Buffer): Readonly<Record<string, Setting>> {
  const greeting = send(hello.toString('latin1'), 0);
  const known = maker.make('known', '/CN=known.client.test/O=Known', { key: 'rsa:2048' });
  const alone = maker.make('alone', '/CN=alone.client.test', { isSelfSigned: true });
  const other = maker.make('other', '/CN=sni.lab.test');
  const { directory } = maker;
  const named = joinFiles(`${directory}/named.pem`, other.pem.key, other.pem.cert);
  const names = joinFiles(`${directory}/names`, `sni.lab.test ${named}\n`);
  const certificates = {
    'a known client': [GREETING, ...starttls(known.pem), EHLO, ...END],
    'an unknown client': [GREETING, ...starttls(alone.pem), EHLO, ...END],
    'no certificate': [GREETING, ...starttls(), EHLO, ...END],
  };
  const ends = (name: string) =>
    name === 'takes' ? ['await end'] : SLOW.includes(name) ? END : AGAIN;
  const trouble = Object.keys(SERVICES).map((name): [string, Setting] => [
    `tlsproxy ${name}`,
    {
      main: { ...MAY, tlsproxy_service_name: name },
      sessions: { x: [GREETING, EHLO, 'STARTTLS', ...ends(name)] },
    },
  ]);
  return {
    may: {
      main: WITH,
      sessions: {
        'no TLS': [GREETING, EHLO, FROM, TO, ...END],
        'a message': [GREETING, ...starttls(), FROM, EHLO, FROM, TO, ...END],
        'once is enough': [GREETING, 'STARTTLS', tls(), EHLO, 'STARTTLS', 'STARTTLS x', ...END],
        'with arguments': [GREETING, 'STARTTLS now', ...END],
        'HELO is forgotten': [GREETING, 'HELO x', 'STARTTLS', tls(), FROM, TO, ...END],
        'MAIL is forgotten': [GREETING, EHLO, FROM, 'STARTTLS', tls(), TO, FROM, TO, ...END],
        'what is sent along is lost': [
          GREETING,
          EHLO,
          send('STARTTLS\r\nMAIL FROM:<evil@x.test>\r\nRCPT TO:<evil@x.test>\r\n'),
          tls(),
          TO,
          'NOOP',
          ...END,
        ],
        'plain text goes on': [GREETING, EHLO, 'STARTTLS', send('EHLO again\r\n', 0), 'await end'],
        'no more is said': [GREETING, EHLO, 'STARTTLS', 'half-close', 'await end'],
        'no more is said in mid-handshake': [
          GREETING,
          EHLO,
          'STARTTLS',
          greeting,
          'half-close',
          'await end',
        ],
        'gone at once': [GREETING, EHLO, 'STARTTLS'],
        'gone in mid-handshake': [GREETING, EHLO, 'STARTTLS', greeting],
        'gone after the handshake': [GREETING, ...starttls()],
        'gone after EHLO': [GREETING, ...starttls(), EHLO],
        'gone after RCPT': [GREETING, ...starttls(), EHLO, FROM, TO],
        'TLS 1.2': [
          GREETING,
          ...starttls({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }),
          EHLO,
          ...END,
        ],
        'TLS 1.0': [
          GREETING,
          ...starttls({
            minVersion: 'TLSv1',
            maxVersion: 'TLSv1',
            ciphers: 'AES128-SHA@SECLEVEL=0',
          }),
          EHLO,
          ...END,
        ],
        'commands that come together': [
          GREETING,
          ...starttls(),
          send(`${EHLO}\r\n${FROM}\r\n`, 2),
          TO,
          ...END,
        ],
        'a bare line feed': [GREETING, ...starttls(), send(`${EHLO}\n`), FROM, TO, ...END],
        'a bare line feed, and bytes': [GREETING, send('NOOP \x16\x03\0\\x\xff\n'), ...END],
        'no command': [GREETING, 'GET', 'await end'],
        'no command, and much of it': [GREETING, `GET ${'/x'.repeat(100)}`, 'await end'],
        'no command, and blanks': [GREETING, ' GET  /x \x01\\ y ', 'await end'],
        'a header': [GREETING, ...starttls(), 'Subject: x', 'await end'],
        DATA: [GREETING, ...starttls(), EHLO, FROM, 'DATA', 'await end'],
        'too many commands': [GREETING, ...starttls(), ...Array(19).fill('NOOP'), 'await end'],
        'a long command': [GREETING, ...starttls(), send(`${'x'.repeat(3000)}\r\n`), 'await end'],
      },
    },
    encrypt: {
      main: {
        ...WITH,
        postscreen_tls_security_level: 'encrypt',
        postscreen_helo_required: 'yes',
        postscreen_reject_footer: 'see http://lab.test/',
        tlsproxy_tls_security_level: 'encrypt',
        tlsproxy_tls_mandatory_protocols: '>=TLSv1.3',
      },
      sessions: {
        'before it': [
          GREETING,
          'HELO x',
          EHLO,
          FROM,
          TO,
          'VRFY x',
          'NOOP',
          'RSET',
          'ETRN x',
          ...END,
        ],
        'and more before it': [GREETING, EHLO, 'DATA', 'BDAT 1', 'AUTH x', 'XCLIENT', 'x', ...END],
        'with it': [GREETING, ...starttls(), FROM, EHLO, FROM, TO, ...END],
        'too old': [GREETING, ...starttls({ maxVersion: 'TLSv1.2' }), 'await end'],
      },
    },
    'a level of clients': {
      main: { ...QUICK, postscreen_tls_security_level: 'verify', soft_bounce: 'yes' },
      sessions: { x: [GREETING, FROM, EHLO, ...END] },
    },
    'enforced as of old': {
      main: {
        ...QUICK,
        postscreen_enforce_tls: 'yes',
        smtpd_tls_security_level: '',
        tlsproxy_enforce_tls: 'yes',
      },
      sessions: { x: [GREETING, FROM, ...starttls(), EHLO, ...END] },
    },
    'used as of old': {
      main: {
        ...QUICK,
        postscreen_use_tls: 'yes',
        smtpd_tls_security_level: '',
        tlsproxy_use_tls: 'yes',
      },
      sessions: { x: [GREETING, FROM, ...starttls(), EHLO, ...END] },
    },
    none: {
      main: { ...QUICK, postscreen_tls_security_level: 'none' },
      sessions: { x: [GREETING, EHLO, 'STARTTLS', 'STARTTLS x', ...END] },
    },
    discarded: {
      main: { ...MAY, postscreen_discard_ehlo_keywords: 'starttls, silent-discard' },
      sessions: { x: [GREETING, 'STARTTLS', EHLO, 'STARTTLS', 'STARTTLS x', ...END] },
    },
    'discarded for some': {
      main: { ...WITH, postscreen_discard_ehlo_keyword_address_maps: 'static:starttls' },
      sessions: {
        'before EHLO': [GREETING, 'STARTTLS', tls(), EHLO, ...END],
        'after EHLO': [GREETING, EHLO, 'STARTTLS', ...END],
      },
    },
    'asks for certificates': {
      main: {
        ...WITH,
        tlsproxy_tls_ask_ccert: 'yes',
        tlsproxy_tls_CAfile: maker.authority,
        tls_server_sni_maps: `texthash:${names}`,
      },
      sessions: {
        ...certificates,
        'another name': [GREETING, ...starttls({ servername: 'sni.lab.test' }), EHLO, ...END],
      },
    },
    'needs certificates': {
      main: {
        ...WITH,
        tlsproxy_tls_security_level: 'encrypt',
        tlsproxy_tls_req_ccert: 'yes',
        tlsproxy_tls_CAfile: maker.authority,
      },
      sessions: certificates,
    },
    'tlsproxy is off': {
      main: { ...MAY, tlsproxy_tls_security_level: 'none' },
      sessions: { x: [GREETING, EHLO, 'STARTTLS', ...AGAIN] },
    },
    'no certificate': {
      main: { ...MAY, tlsproxy_tls_cert_file: '', tlsproxy_tls_key_file: '' },
      sessions: { x: [GREETING, EHLO, 'STARTTLS', ...AGAIN] },
    },
    'bad protocols': {
      main: { ...WITH, tlsproxy_tls_protocols: 'bogus' },
      sessions: { x: [GREETING, EHLO, 'STARTTLS', ...AGAIN] },
    },
    remembered: {
      main: { ...WITH, postscreen_cache_map: 'btree:$data_directory/%-tls' },
      sessions: {
        '127.0.3.1 new': [GREETING, ...starttls(), EHLO, FROM, TO, ...END],
        '127.0.3.1 again': [GREETING, EHLO, FROM, TO, ...END],
        '127.0.3.2 not far': [GREETING, ...starttls(), EHLO, ...END],
        '127.0.3.2 again': [GREETING, EHLO, FROM, TO, ...END],
      },
    },
    'tlsproxy is not there': {
      main: { ...MAY, tlsproxy_service_name: 'missing' },
      sessions: {
        again: [GREETING, EHLO, 'STARTTLS', ...AGAIN],
        'what is sent along is heard': [GREETING, send('STARTTLS\r\nNOOP\r\n', 2), ...END],
      },
    },
    ...Object.fromEntries(trouble),
  };
}

test('postscreen and tlsproxy', { skip: whyNoPostfix(), concurrency: 20 }, async (t) => {
  const maker = makeCertificates(t);
  const { certificate, key } = maker.make('mx', '/CN=mx.lab.test', { key: 'rsa:2048' });
  const main: Parameters = {
    smtpd_tls_security_level: 'may',
    smtpd_tls_cert_file: certificate,
    smtpd_tls_key_file: key,
  };
  const all = settings(maker, await makeClientHello());
  const pairs = await startScreens(t, all, { main });
  for (const [name, script] of Object.entries(SERVICES)) {
    await startService(t, join(pairs['may']?.mail.queue ?? '', 'private', name), script);
  }
  await compareScreens(t, all, pairs);
});

/** A tlsproxy with a script. */
async function startService(
  t: TestContext,
  path: string,
  script: readonly string[],
): Promise<void> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    const left = [...script];
    const act = () => {
      const [name = '', value = ''] = left.shift()?.split(' ') ?? [];
      if (name === 'close') socket.destroy();
      else if (name !== '') socket.write(formatAttributes([[name, value]]));
    };
    act();
    socket.on('data', act);
  });
  server.listen(path);
  await once(server, 'listening');
  chmodSync(path, 0o666);
  atEnd(t, () => {
    for (const socket of open) socket.destroy();
    server.close();
  });
}
