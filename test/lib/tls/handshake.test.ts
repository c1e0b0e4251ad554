/** What is told of a handshake, from both ends of real ones. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, connect as open, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { type ClientHello, parseClientHello } from '../../../lib/tls/client-hello.ts';
import { readClientHello } from '../../../lib/tls/hello-reader.ts';
import { type KeyPair, readKeyPair } from '../../../lib/tls/key-pair.ts';
import { libraryErrors } from '../../../lib/tls/library-error.ts';
import { opensslOptions } from '../../../lib/tls/openssl-options.ts';
import { parseProtocols } from '../../../lib/tls/protocols.ts';
import { createServerContext, knownGroups } from '../../../lib/tls/server-context.ts';
import { describeSession, summaryOf, type TlsSession } from '../../../lib/tls/session-facts.ts';
import { type Certificate, makeCertificates } from '../../support/certificates.ts';

const GROUPS = ['X25519', 'X448', 'prime256v1', 'secp521r1', 'secp384r1'];

interface Met {
  readonly hello: ClientHello | undefined;
  readonly found?: TlsSession;
  readonly error?: unknown;
}

/** A server that reads the ClientHello first, as smtpd does. */
async function startServer(t: TestContext, pairs: readonly KeyPair[], authorities: string[] = []) {
  const context = createServerContext(
    {
      options: opensslOptions(
        {
          versions: parseProtocols(''),
          options: '',
          disabledWorkarounds: '',
          serverChoosesCipher: false,
        },
        assert.fail,
      ),
      ciphers: 'aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH',
      groups: knownGroups(GROUPS, assert.fail),
      dhParameters: 'auto',
      authorities,
      sessionContext: 'test',
      sessionSeconds: 3600,
    },
    pairs,
    Buffer.alloc(48, 7),
  );
  const asksForCertificate = authorities.length > 0;
  const seen: Met[] = [];
  const meet = async (raw: Socket) => {
    raw.on('error', () => {});
    const hello = await readClientHello(raw);
    const socket = new TLSSocket(raw, {
      isServer: true,
      secureContext: context,
      requestCert: asksForCertificate,
      rejectUnauthorized: false,
    });
    socket.on('error', (error) => seen.push({ hello, error }));
    socket.on('secure', () => {
      judge(socket);
      const wishes = {
        isDetailed: true,
        groups: GROUPS,
        digest: 'sha256',
        verifyDepth: 9,
        asksForCertificate,
      };
      const keys = pairs.map(({ signature }) => signature);
      seen.push({ hello, found: describeSession(socket, wishes, { hello, keys }) });
      socket.end('done');
    });
  };
  const server = createServer((raw) => void meet(raw)).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    port,
    seen,
    async visit(options: ConnectionOptions) {
      const before = seen.length;
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
      let session: Buffer | undefined;
      let group: object | null = null;
      socket.on('session', (bytes: Buffer) => {
        session = bytes;
      });
      socket.on('secureConnect', () => {
        group = socket.getEphemeralKeyInfo();
      });
      socket.on('error', () => {}).resume();
      await once(socket, 'close');
      return { met: seen[before], session, group };
    },
  };
}

/** Node judges only clients that its own server accepts; for others smtp-server does it, like this. */
function judge(socket: TLSSocket): void {
  const { ssl } = socket as unknown as { ssl: { verifyError(): { code: string } | null } };
  const error = ssl.verifyError();
  socket.authorized = error === null;
  if (error !== null) Object.assign(socket, { authorizationError: error.code });
}

const pairOf = ({ pem }: Certificate): KeyPair =>
  readKeyPair('RSA', { name: 'c', text: pem.cert }, { name: 'k', text: pem.key });

test('a server tells how keys were exchanged and who signed', async (t) => {
  const maker = makeCertificates(t);
  const [rsa, ec] = [maker.make('rsa', '/CN=mx', { key: 'rsa:2048' }), maker.make('ec', '/CN=mx')];
  const server = await startServer(t, [pairOf(rsa), pairOf(ec)]);
  const rows: readonly (readonly [ConnectionOptions, string])[] = [
    [
      {},
      'TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA (prime256v1) server-digest SHA256',
    ],
    [
      { ecdhCurve: 'P-384' },
      'TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange ECDHE (secp384r1) server-signature ECDSA (prime256v1) server-digest SHA256',
    ],
    [
      { ecdhCurve: 'ffdhe2048:P-521', ciphers: 'TLS_AES_128_GCM_SHA256' },
      'TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits) key-exchange ECDHE (secp521r1) server-signature ECDSA (prime256v1) server-digest SHA256',
    ],
    [
      { sigalgs: 'RSA-PSS+SHA384' },
      'TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA384',
    ],
    [
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA' },
      'TLSv1.2 with cipher ECDHE-RSA-AES128-SHA (128/128 bits)',
    ],
    [
      { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'AES256-SHA@SECLEVEL=0' },
      'TLSv1 with cipher AES256-SHA (256/256 bits)',
    ],
  ];
  for (const [options, summary] of rows) {
    const { met, group } = await server.visit(options);
    assert.ok(met?.found, `${JSON.stringify(options)}: ${met?.error}`);
    assert.equal(summaryOf(met.found) + met.found.details.join(''), summary);
    const { name } = (group ?? {}) as { name?: string };
    if (met.found.details.length > 0) assert.ok(met.found.details[0]?.includes(name ?? '?'), name);
  }
});

test('a client is known by its certificate, and a session that is resumed keeps it', async (t) => {
  const maker = makeCertificates(t);
  const server = await startServer(
    t,
    [pairOf(maker.make('rsa', '/CN=mx', { key: 'rsa:2048' }))],
    [readFileSync(maker.authority, 'latin1')],
  );
  const known = maker.make('known', '/CN=ann.test/O=\u0001evil');
  const self = maker.make('self', '/CN=self.test', { isSelfSigned: true });
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const versions = { minVersion: version, maxVersion: version };
    const first = await server.visit({ ...versions, ...known.pem });
    const again = await server.visit({ ...versions, session: first.session });
    assert.deepEqual(again.met?.found?.peer, first.met?.found?.peer);
    assert.equal(again.met?.found?.isResumed, true);
    assert.equal(again.met?.hello?.ticketName?.toString('hex'), '07'.repeat(16));
    assert.equal(first.met?.found?.peer?.isTrusted, true);
    assert.equal(first.met?.found?.peer?.subject, 'ann.test');
    assert.equal(first.met?.found?.peer?.issuer, 'Lab CA');
    assert.equal(first.met?.found?.peer?.fingerprint, known.fingerprint);
    const stranger = await server.visit({ ...versions, ...self.pem });
    assert.equal(stranger.met?.found?.peer?.failure, 'DEPTH_ZERO_SELF_SIGNED_CERT');
    assert.equal(stranger.met?.found?.peer?.isTrusted, false);
    // OpenSSL has nothing against a resumed session without any certificate: nobody vouched for it.
    const nobody = await server.visit(versions);
    const stillNobody = await server.visit({ ...versions, session: nobody.session });
    assert.deepEqual(
      [nobody.met?.found?.peer, stillNobody.met?.found?.peer],
      [undefined, undefined],
    );
  }
});

test('what is not TLS is named as OpenSSL names it', async (t) => {
  const maker = makeCertificates(t);
  const server = await startServer(t, [pairOf(maker.make('ec', '/CN=mx'))]);
  const socket = open(server.port, '127.0.0.1');
  socket.on('error', () => {}).resume();
  socket.write('NOOP\r\nNOOP\r\n');
  await once(socket, 'close');
  const [line = ''] = libraryErrors(server.seen[0]?.error);
  assert.match(
    line,
    /^error:0A00010B:SSL routines::wrong version number:\.\.\/ssl\/record\/\S+:\d+:$/,
  );
});

test('a ClientHello is read in any pieces, and nothing else is taken for one', async (t) => {
  const chunks: Buffer[] = [];
  const server = createServer((raw) => raw.on('data', (chunk) => chunks.push(chunk)));
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connect({
    port,
    host: '127.0.0.1',
    servername: 'mx.lab.test',
    ecdhCurve: 'X25519:P-256',
  });
  client.on('error', () => {});
  while (chunks.length === 0) await new Promise((resolve) => setImmediate(resolve));
  client.destroy();
  const whole = Buffer.concat(chunks);
  const hello = parseClientHello(whole);
  assert.ok(hello !== undefined && hello !== 'more');
  assert.deepEqual(
    [hello.serverName, hello.groups, hello.keyShares],
    ['mx.lab.test', [29, 23], [29]],
  );
  for (let length = 0; length < whole.length; length += 1) {
    assert.equal(parseClientHello(whole.subarray(0, length)), 'more');
  }
  // In two records.
  const record = (bytes: Buffer) =>
    Buffer.concat([Buffer.from([22, 3, 1, bytes.length >> 8, bytes.length & 255]), bytes]);
  const message = whole.subarray(5);
  const split = Buffer.concat([record(message.subarray(0, 3)), record(message.subarray(3))]);
  assert.deepEqual(parseClientHello(split), hello);
  for (const text of [
    'QUIT\r\n',
    'EHLO x\r\n',
    '\x16\x03\x01\x00\x00',
    '\x16\x02\x01\x00\x05xxxxx',
    '\x15\x03\x01\x00\x02\x02\x28',
  ]) {
    assert.equal(parseClientHello(Buffer.from(text, 'latin1')), undefined, JSON.stringify(text));
  }
  // Whatever is broken in it: no exception, and no wait for more than it says.
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
      const broken = Buffer.from(whole);
      broken[at] = byte;
      const found = parseClientHello(broken);
      assert.ok(found === undefined || found === 'more' || Array.isArray(found.groups));
    }),
    { numRuns: 500 },
  );
});
