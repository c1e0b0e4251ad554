/** TLS in a whole mail system: what messages and policy servers are told, tickets, renewed certificates. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, TLSSocket } from 'node:tls';
import {
  type Certificate,
  type CertificateMaker,
  makeCertificates,
} from '../../support/certificates.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { freePort } from '../../support/ports.ts';
import { commandOf, type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import { processesOf } from '../../system/processes.ts';
import { Dialogue, type Step, send } from './dialogue.ts';

const HELLO = 'EHLO client.test';
const ENVELOPE = ['MAIL FROM:<ann@client.test>', 'RCPT TO:<root@lab.test>'];
const MESSAGE = [...ENVELOPE, 'DATA', send('Subject: secret\r\n\r\nhello\r\n.\r\n'), 'QUIT'];
const MAKERS: readonly Maker[] = ['ours', 'real'];

interface Place {
  readonly mail: MailSystem;
  readonly maker: CertificateMaker;
  readonly certificate: Certificate;
  /** A port of each smtpd. */
  readonly ports: Record<Maker, number>;
}

interface PlaceOptions {
  readonly main?: (maker: CertificateMaker) => Record<string, string>;
  readonly tlsmgr?: Maker;
}

/** A mail system with an smtpd of each maker, and one certificate for both. What is accepted stays. */
async function startPlace(
  t: TestContext,
  { main, tlsmgr = 'ours' }: PlaceOptions = {},
): Promise<Place> {
  const maker = makeCertificates(t);
  const certificate = maker.make('mx', '/CN=mx.lab.test');
  const port = await freePort();
  const mail = await startMailSystem(t, {
    main: {
      smtpd_tls_security_level: 'may',
      smtpd_tls_cert_file: certificate.certificate,
      smtpd_tls_key_file: certificate.key,
      smtpd_tls_loglevel: '1',
      smtpd_peername_lookup: 'no',
      smtpd_client_connection_count_limit: '0',
      defer_transports: 'local',
      ...main?.(maker),
    },
    master: [
      `127.0.0.1:${port} inet n - n - - ${commandOf('ours', whyNoPostfix() ? 'ours' : 'real', 'smtpd')}`,
      `tlsmgr unix - - n 1000? 1 ${commandOf('ours', tlsmgr, 'tlsmgr')}`,
    ],
  });
  return { mail, maker, certificate, ports: { ours: mail.port, real: port } };
}

interface Talk {
  readonly replies: readonly string[];
  readonly session: Buffer | undefined;
  readonly isResumed: boolean;
  /** The server's certificate. */
  readonly subject: string | undefined;
}

async function talk(port: number, steps: readonly Step[]): Promise<Talk> {
  const dialogue = new Dialogue({ port });
  await dialogue.expect(1);
  let isResumed = false;
  let subject: string | undefined;
  for (const step of steps) {
    await dialogue.play(step);
    const { socket } = dialogue;
    if (!(socket instanceof TLSSocket) || socket.destroyed) continue;
    isResumed = socket.isSessionReused();
    subject = String(socket.getPeerCertificate()?.subject?.CN ?? subject);
  }
  await dialogue.close();
  return { replies: dialogue.replies, session: dialogue.session, isResumed, subject };
}

const secured = (options: ConnectionOptions = {}): Step[] => [
  HELLO,
  'STARTTLS',
  { tls: options },
  HELLO,
];

/** A server that has nothing against anybody. @returns what it is asked */
async function startPolicyServer(t: TestContext): Promise<{ port: number; requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((socket) => {
    let text = '';
    socket
      .on('error', () => {})
      .on('data', (chunk) => {
        text += chunk.toString('latin1');
        if (!text.endsWith('\n\n')) return;
        requests.push(text);
        text = '';
        socket.write('action=DUNNO\n\n');
      });
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await eventually('a policy server', () => server.listening);
  return { port: (server.address() as { port: number }).port, requests };
}

const CLIENTS: readonly (readonly [
  name: string,
  args: (port: number) => string[],
  expected: RegExp,
])[] = [
  [
    'posttls-finger',
    (port) => ['-c', '-l', 'encrypt', '-o', 'inet_protocols=ipv4', `[127.0.0.1]:${port}`],
    /TLS connection established to 127\.0\.0\.1\[127\.0\.0\.1\]:\d+: TLSv1\.3 with cipher/,
  ],
  [
    'swaks',
    (port) => [
      '--server',
      `127.0.0.1:${port}`,
      '--tls',
      '--to',
      'root@lab.test',
      '--from',
      'a@b.test',
    ],
    /<~ {2}250 2\.0\.0 Ok: queued as/,
  ],
  [
    'curl',
    (port) => ['-sSvk', '--ssl-reqd', `smtp://127.0.0.1:${port}`, '-X', 'NOOP'],
    /SSL connection using TLSv1\.3/,
  ],
];

test('TLS in a mail system', async (t) => {
  const policy = await startPolicyServer(t);
  const { mail, maker, ports } = await startPlace(t, {
    main: ({ authority, directory }) => {
      const broken = join(directory, 'broken.pem');
      writeFileSync(broken, readFileSync(authority));
      return {
        smtpd_tls_received_header: 'yes',
        smtpd_tls_ask_ccert: 'yes',
        smtpd_tls_CAfile: authority,
        smtpd_tls_fingerprint_digest: 'sha1',
        smtpd_recipient_restrictions: `check_policy_service inet:127.0.0.1:${policy.port}`,
        tls_server_sni_maps: `inline:{wrong.test=${broken}}`,
      };
    },
  });
  const known = maker.make('known', '/CN=a+b=c (known) client/O=x').pem;
  const self = maker.make('self', '/CN=self', { isSelfSigned: true }).pem;

  await t.test(
    'headers and policy servers are told as by Postfix',
    { skip: whyNoPostfix() },
    async () => {
      const rows: readonly (readonly Step[])[] = [
        [HELLO],
        secured(),
        secured({ maxVersion: 'TLSv1.2' }),
        secured(known),
        secured(self),
        [...secured().slice(0, 3), 'HELO client.test'],
      ];
      const told: Record<Maker, string[][]> = { ours: [], real: [] };
      for (const each of MAKERS) {
        for (const steps of rows) {
          const { replies } = await talk(ports[each], [...steps, ...MESSAGE]);
          const id = /queued as (\w+)/.exec(replies.join('\n'))?.[1] ?? '';
          assert.ok(id, replies.join('\n'));
          const text = await eventually(
            'the message',
            () => mail.run('postcat', ['-q', id]).stdout,
          );
          const header = /^Received: (?:.*\n[ \t])*.*\n/m.exec(text)?.[0] ?? text;
          const asked = policy.requests.pop()?.split('\n') ?? [];
          told[each].push([
            header.replace(id, 'QID').replace(/; .*/, '; DATE'),
            ...asked.filter((line) => /^ccert|^encryption|^protocol_name/.test(line)),
          ]);
        }
      }
      assert.deepEqual(told.ours, told.real);
    },
  );

  await t.test('a name with a broken certificate is refused, and only that', async () => {
    const wrong = { tls: { servername: 'wrong.test' } };
    const refused = await talk(ports.ours, [HELLO, 'STARTTLS', wrong, 'await end']);
    assert.equal(refused.replies.length, 3);
    await mail.waitForLog(/error loading chain from SNI data for wrong\.test: key not first$/);
    const { replies } = await talk(ports.ours, [...secured({ servername: 'x.test' }), 'QUIT']);
    assert.equal(replies.at(-1), '221 2.0.0 Bye');
  });

  await t.test("clients that never finish are in nobody else's way", async () => {
    const before = mail.log().split('SSL_accept error').length;
    const idle = await Promise.all(
      Array.from({ length: 60 }, async (_each, at) => {
        const dialogue = new Dialogue({ port: ports.ours });
        await dialogue.expect(1);
        await dialogue.play(HELLO);
        await dialogue.play('STARTTLS');
        // The beginning of a ClientHello, that goes on some other time.
        if (at % 2 === 0) dialogue.socket.write(Buffer.from([22, 3, 1, 2, 0, 1]));
        return dialogue;
      }),
    );
    const large = `Subject: large\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(30_000)}.\r\n`;
    const { replies } = await talk(ports.ours, [
      ...secured(),
      ...ENVELOPE,
      'DATA',
      send(large),
      'QUIT',
    ]);
    assert.match(replies.at(-2) ?? '', /^250 2\.0\.0 Ok: queued/);
    for (const dialogue of idle) await dialogue.close();
    const count = () => mail.log().split('SSL_accept error').length - before;
    await eventually('the end of all', () => count() === idle.length);
  });

  for (const [name, args, expected] of CLIENTS) {
    const skip = spawnSync('which', [name]).status === 0 ? false : `${name} is not installed`;
    await t.test(`${name} speaks TLS with it`, { skip }, () => {
      const { stdout, stderr } = spawnSync(name, args(ports.ours), { encoding: 'latin1' });
      if (/requires Net::SSLeay|not available/i.test(stderr)) return;
      assert.match(stdout + stderr, expected);
    });
  }
});

for (const tlsmgr of MAKERS) {
  const skip = tlsmgr === 'real' ? whyNoPostfix() : false;
  test(`sessions are resumed at other processes: tlsmgr ${tlsmgr}`, { skip }, async (t) => {
    const { mail, ports } = await startPlace(t, { tlsmgr });
    for (const smtpd of whyNoPostfix() ? (['ours'] as const) : MAKERS) {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        const options = { minVersion: version, maxVersion: version };
        const first = await talk(ports[smtpd], [...secured(options), 'QUIT']);
        for (const { name, pid } of processesOf(mail)) {
          if (name === 'smtpd') process.kill(pid, 'SIGKILL');
        }
        const resumed = { ...options, session: first.session };
        const again = await talk(ports[smtpd], [...secured(resumed), 'QUIT']);
        assert.equal(again.isResumed, true, `${smtpd} ${version}`);
      }
    }
  });
}

test('a renewed certificate is used, though only root may see it', async (t) => {
  const { mail, maker, certificate, ports } = await startPlace(t);
  chmodSync(maker.directory, 0o700);
  const subject = async () => (await talk(ports.ours, [...secured(), 'QUIT'])).subject;
  assert.equal(await subject(), 'mx.lab.test');
  const staying = new Dialogue({ port: ports.ours });
  t.after(() => staying.close());
  await staying.expect(1);
  for (const step of secured()) await staying.play(step);
  const renewed = maker.make('renewed', '/CN=renewed');
  renameSync(renewed.key, certificate.key);
  renameSync(renewed.certificate, certificate.certificate);
  await mail.waitForLog(/smtpd\[\d+\]: TLS certificate has changed -- restarting/);
  await eventually('the new certificate', async () => (await subject()) === 'renewed');
  // Who was there before is not sent away.
  await staying.play('NOOP');
  assert.equal(staying.replies.at(-1), '250 2.0.0 Ok');
});
