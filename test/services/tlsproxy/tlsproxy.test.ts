/** tlsproxy between a server and its clients: what it carries, what ends, and what is left behind. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect as secure, type TLSSocket } from 'node:tls';
import { ReadyTlsproxy, TLSPROXY_FLAGS } from '../../../lib/clients/tlsproxy.ts';
import { IpcConnection } from '../../../lib/ipc/connection.ts';
import { int, str } from '../../../lib/ipc/fields.ts';
import { descriptorOf } from '../../../lib/os/descriptors.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { makeClientHello } from '../../support/client-hello.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { memoryOf, processesOf } from '../../system/processes.ts';
import { Dialogue } from '../smtpd/dialogue.ts';

const LINES = [
  '127.0.0.1:0 inet n - n - 1 postscreen',
  'smtpd pass - - n - - smtpd',
  'tlsproxy unix - - n - 0 tlsproxy',
  'tlsmgr unix - - n 1000? 1 tlsmgr',
];
const MANY_BYTES = 3 * 1024 * 1024;
const CROWD = 1000;
const GROWTH_MAX_BYTES = 120 * 1024 * 1024;
const LIMIT_SECONDS = 300;

/** Both ends of a client's connection. */
interface Bridge {
  /** The client, who has said nothing yet. */
  readonly client: Socket;
  /** What tlsproxy gives the server for it. */
  readonly plain: Socket;
}

async function startMail(t: TestContext): Promise<MailSystem> {
  const { certificate, key } = makeCertificates(t).make('mx', '/CN=mx.lab.test');
  return await startMailSystem(t, {
    only: LINES,
    main: {
      // So all of it is done by one.
      service_processes: '1',
      smtpd_tls_security_level: 'may',
      smtpd_tls_cert_file: certificate,
      smtpd_tls_key_file: key,
      smtpd_tls_loglevel: '1',
      mynetworks: '192.0.2.0/24',
      postscreen_greet_banner: '',
      postscreen_bare_newline_enable: 'yes',
    },
  });
}

function ask(mail: MailSystem, endpoint: string, timeoutSeconds = LIMIT_SECONDS) {
  const socketPath = join(mail.queue, 'private/tlsproxy');
  const request = { socketPath, endpoint, timeoutSeconds, serverId: 'smtpd', limitMs: 20_000 };
  return ReadyTlsproxy.ask(request);
}

/** A client that connects, and is handed to tlsproxy. */
async function bridge(
  mail: MailSystem,
  endpoint: string,
  timeoutSeconds?: number,
): Promise<Bridge> {
  const ready = await ask(mail, endpoint, timeoutSeconds);
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connect({ port, host: '127.0.0.1' });
  client.on('error', () => {});
  const [socket] = await accepted;
  server.close();
  const plain = await ready.hand(descriptorOf(socket));
  socket.destroy();
  plain.on('error', () => {});
  return { client, plain };
}

async function shakeHands(client: Socket, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const secured = secure({ rejectUnauthorized: false, ...options, socket: client });
  secured.on('error', () => {});
  await once(secured, 'secureConnect');
  return secured;
}

/** All that comes until the end. */
async function textOf(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.resume();
  await finished(socket, { writable: false }).catch(() => {});
  return text;
}

const tlsproxyOf = (mail: MailSystem) => {
  const found = processesOf(mail).find(({ name }) => name === 'tlsproxy');
  assert.ok(found, 'there is a tlsproxy');
  return found.pid;
};
const openIn = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

/** What happens to a client and its server; each resolves when both are rid of each other. */
const ENDINGS: Readonly<Record<string, (mail: MailSystem, label: string) => Promise<void>>> = {
  async 'the server says good bye'(mail, label) {
    const { client, plain } = await bridge(mail, label);
    const secured = await shakeHands(client);
    plain.end('221 2.0.0 Bye\r\n');
    assert.equal(await textOf(secured), '221 2.0.0 Bye\r\n');
    secured.destroy();
  },
  async 'the client says good bye'(mail, label) {
    const { client, plain } = await bridge(mail, label);
    const secured = await shakeHands(client);
    secured.end('QUIT\r\n');
    assert.equal(await textOf(plain), 'QUIT\r\n');
    plain.destroy();
    assert.equal(await textOf(secured), '');
  },
  async 'the client is gone'(mail, label) {
    const { client, plain } = await bridge(mail, label);
    const secured = await shakeHands(client);
    secured.write('NOOP\r\n');
    await once(plain, 'readable');
    client.resetAndDestroy();
    assert.equal(await textOf(plain), 'NOOP\r\n');
    plain.destroy();
  },
  async 'the client does not speak TLS'(mail, label) {
    const { client, plain } = await bridge(mail, label);
    client.write('EHLO client.test\r\n');
    assert.equal(await textOf(plain), '');
    await mail.waitForLog(/TLS handshake failed for service=smtpd peer=\[192\.0\.2\.13\]:25$/);
    client.destroy();
    plain.destroy();
  },
  async 'the client says half a hello, and goes'(mail, label) {
    const { client, plain } = await bridge(mail, label);
    client.end(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]));
    assert.equal(await textOf(plain), '');
    plain.destroy();
  },
  async 'the client waits for ever'(mail, label) {
    const { client, plain } = await bridge(mail, label, 1);
    assert.equal(await textOf(plain), '');
    await mail.waitForLog(/warning: ciphertext read\/write timeout for \[192\.0\.2\.15\]:25$/);
    client.destroy();
    plain.destroy();
  },
  async 'the client stops in the middle of the handshake'(mail, label) {
    const { client, plain } = await bridge(mail, label, 1);
    client.write(await makeClientHello());
    await once(client, 'data');
    assert.equal(await textOf(plain), '');
    client.destroy();
  },
  async 'the server leaves during the handshake'(mail, label) {
    const { client, plain } = await bridge(mail, label);
    plain.destroy();
    assert.equal(await textOf(client), '');
  },
  async 'the server leaves before it has handed the client over'(mail, label) {
    assert.equal(await statusFor(mail, label, TLSPROXY_FLAGS.server), 1);
  },
  async 'somebody wants a client of TLS'(mail, label) {
    const status = await statusFor(mail, label, TLSPROXY_FLAGS.client);
    assert.equal(status, 0);
    await mail.waitForLog(/warning: request for the role of a TLS client: not built/);
    await mail.waitForLog(/DISCONNECT \[192\.0\.2\.19\]:25$/);
  },
  async 'somebody speaks otherwise'(mail) {
    const peer = connect(join(mail.queue, 'private/tlsproxy'));
    peer.end('protocol\0x\0\0');
    await textOf(peer);
    await mail.waitForLog(/warning: .*unexpected attribute protocol from tlsproxy socket/);
  },
};

/** What a request with such flags is answered. */
async function statusFor(mail: MailSystem, endpoint: string, flags: number): Promise<number> {
  const connection = await IpcConnection.connect(join(mail.queue, 'private/tlsproxy'), 20_000);
  try {
    await connection.receive({ protocol: str });
    await connection.send([
      ['remote_endpoint', endpoint],
      ['flags', flags],
      ['timeout', LIMIT_SECONDS],
      ['timeout', LIMIT_SECONDS],
      ['serverid', 'smtpd'],
    ]);
    return (await connection.receive({ status: int }))?.status ?? -1;
  } finally {
    connection.close();
  }
}

/** What the two say goes both ways, in any amount; and the session can be resumed. */
async function carryMuch(mail: MailSystem): Promise<void> {
  let session: Buffer | undefined;
  for (const isResumed of [false, true]) {
    const { client, plain } = await bridge(mail, '[192.0.2.1]:25');
    const secured = await shakeHands(client, session === undefined ? {} : { session });
    assert.equal(secured.isSessionReused(), isResumed);
    secured.on('session', (given: Buffer) => {
      session = given;
    });
    plain.pipe(plain);
    const sent = randomBytes(MANY_BYTES);
    const digest = createHash('sha256');
    let count = 0;
    secured.on('data', (chunk: Buffer) => {
      digest.update(chunk);
      count += chunk.length;
    });
    secured.write(sent);
    await eventually('all of it again', () => count === sent.length, 20_000);
    assert.equal(digest.digest('hex'), createHash('sha256').update(sent).digest('hex'));
    secured.end();
    await finished(secured).catch(() => {});
    plain.destroy();
  }
}

/** However it ends, nothing is left behind. */
async function endAll(t: TestContext, mail: MailSystem): Promise<void> {
  const pid = tlsproxyOf(mail);
  const before = openIn(pid);
  const tests = Object.entries(ENDINGS).map(([name, act], at) =>
    t.test(name, () => act(mail, `[192.0.2.${10 + at}]:25`)),
  );
  await Promise.all(tests);
  await eventually('the end of all', () => openIn(pid) <= before);
}

/** A crowd of half-open handshakes is no burden for others. */
async function crowdIn(mail: MailSystem): Promise<void> {
  const pid = tlsproxyOf(mail);
  const [descriptors, { nowBytes }] = [openIn(pid), memoryOf(pid)];
  const crowd: Bridge[] = [];
  for (let at = 0; at < CROWD; at += 1) {
    const each = await bridge(mail, `[192.0.2.10]:${at}`);
    each.client.write(Buffer.from([22, 3, 1, 2, 0, 1]));
    crowd.push(each);
  }
  await ENDINGS['the client says good bye']?.(mail, '[192.0.2.9]:25');
  assert.ok(openIn(pid) >= 2 * CROWD);
  const grown = memoryOf(pid).peakBytes - nowBytes;
  assert.ok(grown < GROWTH_MAX_BYTES, `${grown} bytes more`);
  for (const { plain } of crowd) plain.destroy();
  await Promise.all(crowd.map(({ client }) => textOf(client)));
  await eventually('the end of all', () => openIn(pid) <= descriptors);
}

/** A client who has come before a reload goes on with the processes of then. */
async function reload(mail: MailSystem): Promise<void> {
  const [pid, first] = [tlsproxyOf(mail), new Dialogue({ port: mail.port, from: '127.0.0.4' })];
  await first.expect(1);
  for (const step of ['STARTTLS', { tls: {} }]) await first.play(step);
  assert.equal(mail.run('postfix', ['reload']).status, 0);
  const second = new Dialogue({ port: mail.port, from: '127.0.0.5' });
  await second.expect(1);
  for (const step of ['STARTTLS', { tls: {} }]) await second.play(step);
  for (const client of [first, second]) {
    for (const step of ['EHLO client.test', 'QUIT']) await client.play(step);
    assert.match(client.replies.at(-1) ?? '', /^221 /);
    await client.close();
  }
  await eventually('its end', () => !processesOf(mail).some((each) => each.pid === pid));
}

/** A tlsproxy that dies takes its clients along, and the next one serves. */
async function killOne(mail: MailSystem): Promise<void> {
  const first = new Dialogue({ port: mail.port, from: '127.0.0.2' });
  await first.expect(1);
  for (const step of ['STARTTLS', { tls: {} }, 'EHLO client.test']) await first.play(step);
  const screen = processesOf(mail).find(({ name }) => name === 'postscreen')?.pid ?? 0;
  const descriptors = openIn(screen);
  process.kill(tlsproxyOf(mail), 'SIGKILL');
  await first.awaitEnd();
  await first.close();
  await mail.waitForLog(
    /HANGUP after \S+ from \[127\.0\.0\.2\]:\d+ in tests after SMTP handshake$/,
  );
  const second = new Dialogue({ port: mail.port, from: '127.0.0.3' });
  await second.expect(1);
  for (const step of ['STARTTLS', { tls: {} }, 'EHLO client.test', 'QUIT']) await second.play(step);
  assert.match(second.replies.at(-1) ?? '', /^221 /);
  await second.close();
  await eventually('the end of both', () => openIn(screen) < descriptors);
}

test('tlsproxy', { concurrency: true, timeout: 120_000 }, async (t) => {
  const mail = await startMail(t);
  await carryMuch(mail);
  await endAll(t, mail);
  await crowdIn(mail);
  await reload(mail);
  await killOne(mail);
});
