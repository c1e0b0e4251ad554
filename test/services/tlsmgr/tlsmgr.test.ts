/** What tlsmgr answers: Postfix's and ours, asked by the client that smtpd has. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { formatTicketKey, parseTicketKey, TlsmgrClient } from '../../../lib/clients/tlsmgr.ts';
import { now } from '../../../lib/clock/clock.ts';
import { TicketKeys } from '../../../services/tlsmgr/ticket-keys.ts';
import { freshDirectory } from '../../support/directories.ts';
import { type Maker, REAL_DAEMONS, whyNoPostfix } from '../../support/real-postfix.ts';
import { scriptedMaster } from '../../support/scripted-master.ts';

const LISTEN = 'private/tlsmgr';

function start(t: TestContext, maker: Maker, main: Readonly<Record<string, string>> = {}) {
  const master = scriptedMaster(t, {
    data_directory: '/nonexistent',
    tls_random_source: '',
    ...main,
  });
  const program = maker === 'ours' ? 'libexec/tlsmgr' : `${REAL_DAEMONS}/tlsmgr`;
  const daemon = master.start({ program, listen: LISTEN, args: ['-l', '-n', 'tlsmgr', '-u'] });
  const client = new TlsmgrClient({ socketPath: master.path(LISTEN) });
  t.after(() => client.close());
  return { master, daemon, client };
}

const secondsNow = () => Math.floor(now() / 1000);

for (const maker of ['ours', 'real'] as const) {
  const skip = maker === 'real' ? whyNoPostfix() : false;

  test(`${maker}: seeds, policies and keys of tickets`, { skip }, async (t) => {
    const data = freshDirectory(t);
    chmodSync(data, 0o777);
    const { client } = start(t, maker, {
      data_directory: data,
      tls_random_source: 'dev:/dev/urandom',
      smtpd_tls_session_cache_timeout: '100s',
      lmtp_tls_session_cache_timeout: '0',
    });
    assert.equal((await client.seed(32))?.length, 32);
    assert.notDeepEqual(await client.seed(32), await client.seed(32));
    assert.deepEqual(await client.policy('smtpd'), { isCachable: false, timeoutSeconds: 120 });
    assert.deepEqual(await client.policy('smtp'), { isCachable: false, timeoutSeconds: 3600 });
    assert.equal((await client.policy('lmtp')).timeoutSeconds, 0);
    const askedAt = secondsNow();
    const key = await client.ticketKey();
    assert.ok(key !== undefined);
    assert.deepEqual([key.name.length, key.secret.length], [16, 64]);
    const { expires } = key;
    assert.ok(expires > askedAt + 50 && expires <= secondsNow() + 60, `${expires}`);
    assert.deepEqual(await client.ticketKey(), key);
    assert.deepEqual(await client.ticketKey(key.name), key);
    assert.equal(await client.ticketKey(Buffer.alloc(16)), undefined);
    assert.equal(await client.ticketKey(Buffer.alloc(3)), undefined);
    assert.equal(await client.lookup('smtp', 'x'), undefined);
  });
}

test('sessions are remembered, each kind for itself', async (t) => {
  const { client, master, daemon } = start(t, 'ours', {
    smtp_tls_session_cache_database: 'btree:${queue_directory}/pid/sessions',
    mail_owner: process.getuid?.() === 0 ? 'root' : 'nobody',
  });
  assert.deepEqual(await client.policy('smtp'), { isCachable: true, timeoutSeconds: 3600 });
  const session = Buffer.from([0, 1, 2, 255]);
  assert.equal(await client.update('smtp', 'mx.test&p', session), true);
  assert.deepEqual(await client.lookup('smtp', 'mx.test&p'), session);
  assert.equal(await client.lookup('lmtp', 'mx.test&p'), undefined);
  assert.equal(await client.update('lmtp', 'mx.test&p', session), false);
  assert.equal(await client.delete('smtp', 'mx.test&p'), true);
  assert.equal(await client.lookup('smtp', 'mx.test&p'), undefined);
  // What master says from time to time.
  const wake = connect(master.path(LISTEN));
  wake.end('W\0').resume();
  await once(wake, 'close');
  assert.equal((await client.seed(8))?.length, 8);
  assert.equal(daemon.errors(), '');
});

test('a key seals for half of a session and opens for the other half', () => {
  const keys = new TicketKeys(100);
  const first = keys.forSealing(1000);
  assert.ok(first);
  assert.equal(keys.forSealing(1048), first);
  const second = keys.forSealing(1050);
  assert.ok(second && second !== first);
  assert.equal(keys.forOpening(first.name, 1098), first);
  assert.equal(keys.forOpening(first.name, 1099), undefined);
  assert.equal(keys.forOpening(second.name, 1098), second);
  assert.deepEqual(parseTicketKey(formatTicketKey(first)), first);
  assert.equal(new TicketKeys(0).forSealing(1000), undefined);
});
