/** postscreen in a mail system: Debian's lines, either maker's master, a reload, and a crowd. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sleep } from '../../../lib/clock/clock.ts';
import { type CertificateMaker, makeCertificates } from '../../support/certificates.ts';
import { eventually } from '../../support/condition.ts';
import { startDnsServer } from '../../support/dns-server.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';
import { freePort } from '../../support/ports.ts';
import {
  commandOf,
  daemonDirectory,
  type Maker,
  whyNoPostfix,
} from '../../support/real-postfix.ts';
import { troubleIn } from '../../system/log-trouble.ts';
import { memoryOf, processesOf } from '../../system/processes.ts';
import { Dialogue, send } from '../smtpd/dialogue.ts';

const EHLO = 'EHLO client.test';
const FROM = 'MAIL FROM:<ann@client.test>';
const TO = 'RCPT TO:<games@lab.test>';
const TEXT = send('Subject: screened\r\n\r\nhello\r\n.\r\n');
const MAIN = {
  mynetworks: '127.0.0.1/32',
  postscreen_greet_wait: '1s',
  smtpd_peername_lookup: 'no',
  local_recipient_maps: '',
  local_transport: 'discard:',
};

/** Sends a message from an address. @returns the last digit of each reply's code, and the log's id */
async function deliver(mail: MailSystem, from: string): Promise<string[]> {
  const client = new Dialogue({ port: mail.port, from });
  await client.expect(1);
  for (const step of [EHLO, FROM, TO]) await client.play(step);
  if (client.replies.at(-1)?.startsWith('250')) {
    await client.play('DATA');
    await client.play(TEXT);
  }
  await client.play('QUIT');
  await client.close();
  return client.replies.map((reply) => reply.slice(-60).replace(/queued as \w+/, 'queued'));
}

/** What a client hears at RCPT after STARTTLS; it comes from an address that the access list refuses. */
async function refuseSecretly(mail: MailSystem): Promise<string | undefined> {
  const client = new Dialogue({ port: mail.port, from: '127.0.0.8' });
  await client.expect(1);
  for (const step of [EHLO, 'STARTTLS', { tls: {} }, EHLO, FROM, TO, 'QUIT']) {
    await client.play(step);
  }
  await client.close();
  return client.replies.at(-2);
}

/** A certificate, whose key only root may read. */
const tlsMain = (maker: CertificateMaker) => {
  const { certificate, key } = maker.make('mx', '/CN=mx.lab.test');
  return {
    smtpd_tls_security_level: 'may',
    smtpd_tls_cert_file: certificate,
    smtpd_tls_key_file: key,
    smtpd_tls_loglevel: '1',
  };
};

/** With every hint that Debian gives for postscreen carried out. */
const DEBIAN = readFileSync('test/data/master-cf/debian', 'utf8')
  .replace(/^#.*\n/gm, '')
  .replace(
    /^smtp +inet.*$/m,
    [
      '127.0.0.1:0 inet  n       -       y       -       1       postscreen',
      'smtpd     pass  -       -       y       -       -       smtpd',
      'dnsblog   unix  -       -       y       -       0       dnsblog',
      'tlsproxy  unix  -       -       y       -       0       tlsproxy',
    ].join('\n'),
  )
  .trimEnd()
  .split('\n');

const asRoot = process.getuid?.() === 0 ? false : 'chroot(2) needs root';

test("Debian's lines work, in their empty root directory", { skip: asRoot }, async (t) => {
  const dns = await startDnsServer(t, { '9.0.0.127.list.test': { A: ['127.0.0.2'] } });
  const mail = await startMailSystem(t, {
    only: DEBIAN,
    main: {
      ...MAIN,
      ...tlsMain(makeCertificates(t)),
      dns_nameservers: dns.nameserver,
      postscreen_dnsbl_sites: 'list.test',
      postscreen_dnsbl_action: 'enforce',
      postscreen_access_list: 'permit_mynetworks, cidr:$config_directory/access',
      postscreen_denylist_action: 'enforce',
      relay_domains: 'probed.test',
      smtpd_recipient_restrictions:
        'check_recipient_access inline:{probed.test=reject_unverified_recipient}',
      relay_transport: 'error:5.1.1 nobody of that name',
      address_verify_poll_delay: '1s',
    },
    files: { access: '127.0.0.8 reject\n' },
  });
  for (const from of ['127.0.0.1', '127.0.0.2', '127.0.0.2']) {
    assert.equal((await deliver(mail, from)).at(-2), '250 2.0.0 Ok: queued', from);
  }
  const refused = async (from: string) => (await deliver(mail, from))[3];
  assert.match((await refused('127.0.0.9')) ?? '', /blocked using list\.test$/);
  assert.match((await refused('127.0.0.8')) ?? '', /Service currently unavailable$/);
  assert.equal(await refuseSecretly(mail), '550 5.3.2 Service currently unavailable');
  await mail.waitForLog(
    /tlsproxy\[\d+\]: Anonymous TLS connection established from \[127\.0\.0\.8\]/,
  );
  const screened = mail.log().match(/postscreen\[\d+\]: (?!CONNECT|DISC)[A-Z]{4,} \w+/g);
  assert.deepEqual(
    screened?.map((line) => line.replace(/^.*: /, '')).filter((line) => line.startsWith('PASS')),
    ['PASS NEW', 'PASS OLD'],
  );
  for (const name of ['postscreen', 'dnsblog', 'tlsproxy']) {
    const { pid } = processesOf(mail).find((each) => each.name === name) ?? { pid: 0 };
    assert.equal(readlinkSync(`/proc/${pid}/root`), mail.queue, name);
    assert.notEqual(statSync(`/proc/${pid}`).uid, 0, name);
  }
  const cache = `btree:${mail.directory}/data/postscreen_cache`;
  assert.match(mail.run('postmap', ['-s', cache]).stdout, /^127\.0\.0\.2\t\d+;\d+;1;1;1$/m);
  assert.notEqual(statSync(`${mail.directory}/data/postscreen_cache.db`).uid, 0);
  assert.ok(!existsSync(join(mail.queue, 'etc')), 'nothing was copied into the queue');

  // verify has a cache, too, that it must open before.
  const client = new Dialogue({ port: mail.port });
  await client.expect(1);
  for (const step of [EHLO, FROM, 'RCPT TO:<x@probed.test>', 'QUIT']) await client.play(step);
  assert.match(client.replies[3] ?? '', /unverified address: nobody of that name$/);
  await client.close();
  // A busy machine may take its time to start a daemon.
  assert.deepEqual(troubleIn(mail.log(), /wake-up of service/), []);
});

/** Whose postscreen and dnsblog, and whose smtpd behind them, and tlsproxy. */
const ARRANGEMENTS: readonly (readonly [screen: Maker, server: Maker])[] = [
  ['ours', 'real'],
  ['real', 'ours'],
];
const BEHIND = [
  'cleanup unix n - n - 0 cleanup',
  'qmgr unix n - n 300 1 qmgr',
  'rewrite unix - - n - - trivial-rewrite',
  'bounce unix - - n - 0 bounce',
  'defer unix - - n - 0 bounce',
  'trace unix - - n - 0 bounce',
  'proxymap unix - - n - - proxymap',
  'anvil unix - - n - 1 anvil',
  'discard unix - - n - - discard',
];

for (const [screen, server] of ARRANGEMENTS) {
  const title = `under Postfix's master: postscreen ${screen}, smtpd ${server}`;
  test(title, { skip: whyNoPostfix() }, async (t) => {
    const mail = await startMailSystem(t, {
      postfix: '/usr/sbin/postfix',
      only: [
        ...BEHIND,
        `127.0.0.1:0 inet n - n - 1 ${commandOf('real', screen, 'postscreen')}`,
        `smtpd pass - - n - - ${commandOf('real', server, 'smtpd')}`,
        `dnsblog unix - - n - 0 ${commandOf('real', screen, 'dnsblog')}`,
        `tlsproxy unix - - n - 0 ${commandOf('real', server, 'tlsproxy')}`,
        'tlsmgr unix - - n 1000? 1 tlsmgr',
      ],
      main: {
        ...MAIN,
        daemon_directory: daemonDirectory('real'),
        command_directory: '/usr/sbin',
        postscreen_dnsbl_sites: 'list.invalid',
        postscreen_dnsbl_timeout: '10s',
        postscreen_access_list: 'permit_mynetworks, cidr:$config_directory/access',
        postscreen_denylist_action: 'enforce',
        ...tlsMain(makeCertificates(t)),
      },
      files: { access: '127.0.0.8 reject\n' },
    });
    assert.equal(await refuseSecretly(mail), '550 5.3.2 Service currently unavailable');
    for (const from of ['127.0.0.1', '127.0.0.2', '127.0.0.2']) {
      assert.equal((await deliver(mail, from)).at(-2), '250 2.0.0 Ok: queued', from);
    }
    await mail.waitForLog(/PASS OLD \[127\.0\.0\.2\]/);
    await mail.waitForLog(/smtpd\[\d+\]: \w+: client=unknown\[127\.0\.0\.2\]/);
    await mail.waitUntilEmpty();
    assert.deepEqual(troubleIn(mail.log(), /lookup error for DNS query/, /wake-up of service/), []);
  });
}

const OURS = [...BEHIND, '127.0.0.1:0 inet n - n - 1 postscreen', 'smtpd pass - - n - - smtpd'];

test('who is being screened gets through a reload, and a change of a table', async (t) => {
  const mail = await startMailSystem(t, {
    only: OURS,
    main: {
      ...MAIN,
      postscreen_greet_wait: '4s',
      postscreen_access_list: 'texthash:$config_directory/access',
    },
    files: { access: '127.0.0.7 permit\n' },
  });
  const first = new Dialogue({ port: mail.port, from: '127.0.0.2' });
  await mail.waitForLog(/CONNECT from \[127\.0\.0\.2\]/);
  const { pid } = processesOf(mail).find(({ name }) => name === 'postscreen') ?? { pid: 0 };
  assert.equal(mail.run('postfix', ['reload']).status, 0);
  assert.match((await deliver(mail, '127.0.0.7')).at(-2) ?? '', /queued/);
  await first.expect(1);
  await first.play('QUIT');
  await first.close();
  await mail.waitForLog(new RegExp(`postscreen\\[${pid}\\]: PASS NEW \\[127\\.0\\.0\\.2\\]`));
  await eventually('its end', () => !processesOf(mail).some((each) => each.pid === pid));
  // What one process has found out the next one knows.
  assert.match((await deliver(mail, '127.0.0.2')).at(-2) ?? '', /queued/);
  await mail.waitForLog(/PASS OLD \[127\.0\.0\.2\]/);

  await sleep(1000);
  writeFileSync(join(mail.config, 'access'), '127.0.0.6 permit\n');
  await mail.waitForLog(/table texthash:\S+\/access has changed - finishing in the background$/);
  assert.match((await deliver(mail, '127.0.0.6')).at(-2) ?? '', /queued/);
  await mail.waitForLog(/ALLOWLISTED \[127\.0\.0\.6\]/);
  assert.deepEqual(troubleIn(mail.log(), /wake-up of service/), []);
});

const CROWD = 400;
const ROOM = 20;
const GROWTH_MAX_BYTES = 40 * 1024 * 1024;

test('a crowd has limits, and so has patience; who is known goes past', async (t) => {
  const mail = await startMailSystem(t, {
    only: OURS,
    main: {
      ...MAIN,
      postscreen_pre_queue_limit: String(ROOM),
      postscreen_greet_wait: '1s',
      postscreen_command_time_limit: '3s',
      postscreen_bare_newline_enable: 'yes',
    },
  });
  await deliver(mail, '127.0.0.1');
  const { pid } = processesOf(mail).find(({ name }) => name === 'postscreen') ?? { pid: 0 };
  const before = memoryOf(pid).nowBytes;
  const clients = Array.from({ length: CROWD }, (_, at) => {
    const from = `127.0.${1 + (at % 200)}.9`;
    return new Dialogue({ port: mail.port, from });
  });
  // Byte by byte: a client has a time for its whole command.
  const drip = (async () => {
    for (let bytes = 0; bytes < 40 && clients.some((client) => !client.hasEnded); bytes += 1) {
      await sleep(200);
      for (const client of clients) if (!client.hasEnded) client.socket.write('N');
    }
  })();
  const known = await deliver(mail, '127.0.0.1');
  assert.equal(known.at(-2), '250 2.0.0 Ok: queued');
  await Promise.all(clients.map((client) => client.awaitEnd()));
  await drip;
  const last = clients.map((client) => client.replies.at(-1) ?? client.rest);
  const busy = last.filter((reply) => reply === '421 4.3.2 All screening ports are busy');
  const late = last.filter((reply) => reply === '421 4.4.2 mx.lab.test Error: timeout exceeded');
  assert.ok(busy.length >= CROWD - 2 * ROOM, `${busy.length} were too many`);
  assert.equal(busy.length + late.length, CROWD, [...new Set(last)].join(' | '));
  assert.ok(memoryOf(pid).peakBytes - before < GROWTH_MAX_BYTES);
  assert.match(mail.log(), /entering STRESS mode with 18 connections/);
  await mail.waitForLog(/leaving STRESS mode with 14 connections/);
  assert.match(mail.log(), /COMMAND TIME LIMIT from \[127\.0\.\d+\.9\]:\d+ after CONNECT/);
});

const LISTED_6 = `${['1', ...Array(31).fill('0')].join('.')}.list.test`;

test('clients of IPv6 are screened, and asked about, in their own way', async (t) => {
  const dns = await startDnsServer(t, { [LISTED_6]: { A: ['127.0.0.2'] } });
  const port = await freePort();
  const mail = await startMailSystem(t, {
    only: [...OURS, 'dnsblog unix - - n - 0 dnsblog', `[::1]:${port} inet n - n - 1 postscreen`],
    main: {
      ...MAIN,
      inet_protocols: 'all',
      // There is nothing to wait for but the list.
      postscreen_greet_banner: '',
      postscreen_greet_wait: '10s',
      dns_nameservers: dns.nameserver,
      postscreen_dnsbl_sites: 'list.test',
      postscreen_dnsbl_action: 'drop',
    },
  });
  const client = new Dialogue({ port, host: '::1', from: '::1' });
  await client.awaitEnd();
  assert.match(client.replies[0] ?? '', /^521 5\.7\.1 .* client \[::1\] blocked using list\.test$/);
  await client.close();
  await mail.waitForLog(/DNSBL rank 1 for \[::1\]:\d+$/);
  await mail.waitForLog(/dnsblog\[\d+\]: addr ::1 listed by domain list\.test as 127\.0\.0\.2$/);
});

test('a header of a proxy may come in pieces, and what follows it is the client', async (t) => {
  const mail = await startMailSystem(t, {
    only: OURS,
    main: { ...MAIN, postscreen_upstream_proxy_protocol: 'haproxy' },
  });
  const client = new Dialogue({ port: mail.port });
  for (const piece of ['PROX', 'Y TCP4 127.0.0.1 192.0.2.10 5000 25\r', '\nEHLO client.test\r\n']) {
    await client.play(send(piece, 0));
    await sleep(100);
  }
  await client.expect(2);
  await client.play('QUIT');
  assert.equal(client.replies.length, 3);
  await client.close();
  await mail.waitForLog(/CONNECT from \[127\.0\.0\.1\]:5000 to \[192\.0\.2\.10\]:25$/);
  await mail.waitForLog(/smtpd\[\d+\]: connect from unknown\[127\.0\.0\.1\]$/);
});

test('STARTTLS is built, and the role of a TLS client is not', async (t) => {
  const mail = await startMailSystem(t, {
    only: OURS,
    main: {
      ...MAIN,
      postscreen_tls_security_level: 'encrypt',
      tlsproxy_service_name: 'elsewhere',
      tlsproxy_tls_loglevel: '1',
      tlsproxy_watchdog_timeout: '20s',
      tlsproxy_client_CAfile: '/etc/hosts',
    },
    stopped: true,
  });
  const { stderr } = mail.run('postfix', ['check']);
  assert.deepEqual(stderr.match(/parameter "\w+"/g), ['parameter "tlsproxy_client_CAfile"']);
});
