/** TLS on a connection of no socket of Node's, with real clients. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, readFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, createSecureContext, type SecureContext } from 'node:tls';
import { isOpen } from '../../../lib/os/descriptors.ts';
import { bindInet } from '../../../lib/os/sockets.ts';
import { acceptClient, endpointOf } from '../../../lib/os/stream.ts';
import { beginTlsOn, untilSecure } from '../../../lib/tls/accept.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { atEnd } from '../../support/cleanup.ts';
import { makeClientHello } from '../../support/client-hello.ts';
import { eventually } from '../../support/condition.ts';

/** A client that has begun, and its connection here. */
const meet = (t: TestContext, options: ConnectionOptions = {}) =>
  meetBy(t, (port) => connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }));
const meetPlain = (t: TestContext) => meetBy(t, (port) => connectPlain(port, '127.0.0.1'));

async function meetBy<T extends Socket>(t: TestContext, start: (port: number) => T) {
  const listener = bindInet('127.0.0.1', 0, 5);
  const client = start(endpointOf(listener).port);
  client.on('error', () => {});
  atEnd(t, () => {
    client.destroy();
    closeSync(listener);
  });
  const { fd } = await eventually('a client', () => acceptClient(listener) ?? false);
  return { client, fd };
}

for (const [who, withCertificate, isGood] of [
  ['without a certificate', false, false],
  ['with one that we know', true, true],
  ['with one that we do not know', true, false],
] as const) {
  test(`a client ${who} and its server hear each other`, async (t) => {
    const maker = makeCertificates(t);
    const { pem } = maker.make('server', '/CN=mx.lab.test');
    const own = maker.make('client', '/CN=ann', { isSelfSigned: !isGood }).pem;
    const { client, fd } = await meet(t, withCertificate ? own : {});
    const context = createSecureContext({ ...pem, ca: readFileSync(maker.authority) });
    const secured = beginTlsOn(fd, context, true);
    await untilSecure(secured);
    assert.equal(secured.authorized, isGood);
    assert.equal(secured.getPeerCertificate().subject?.CN, withCertificate ? 'ann' : undefined);
    assert.equal(secured.remotePort, client.localPort);
    client.write('question');
    assert.equal(`${(await once(secured, 'data'))[0]}`, 'question');
    // Who has said all can still be answered.
    client.end();
    await once(secured, 'end');
    secured.end('answer');
    assert.equal(`${(await once(client, 'data'))[0]}`, 'answer');
    await once(secured, 'close');
    assert.ok(!isOpen(fd));
  });
}

for (const [how, leave] of [
  ['closes', (client: Socket) => client.destroy()],
  ['says no more', (client: Socket) => client.end()],
] as const) {
  test(`a client that ${how} in mid-handshake is lost`, async (t) => {
    const { pem } = makeCertificates(t).make('server', '/CN=mx.lab.test');
    const { client, fd } = await meetPlain(t);
    client.write(await makeClientHello());
    leave(client);
    const secured = beginTlsOn(fd, createSecureContext(pem), false);
    await assert.rejects(untilSecure(secured), (why) => why === 'lost connection');
    secured.destroy();
    await eventually('its end', () => !isOpen(fd));
  });
}

test('what can not begin is closed', async (t) => {
  const { fd } = await meet(t);
  assert.throws(() => beginTlsOn(fd, {} as SecureContext, false));
  assert.ok(!isOpen(fd));
});
