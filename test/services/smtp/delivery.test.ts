/** Our client as a real process, before far ends of ours. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { atEnd } from '../../support/cleanup.ts';
import { startSmtpPeer } from '../../support/smtp-peer.ts';
import { logged, startAgent } from './agent.ts';

const LOAD = 2048;
const STORE = 4096;
const REUSE = { flags: 3 | LOAD | STORE };

test('a message goes out, and the log tells where to', async (t) => {
  const peer = await startSmtpPeer(t);
  const agent = startAgent(t);
  const done = await agent.deliver(`[127.0.0.1]:${peer.port}`);
  assert.equal(done.status, 0);
  assert.deepEqual(peer.messages, [
    {
      sender: 'ann@example.com',
      recipients: ['bob@example.net'],
      content: 'Subject: test\r\n\r\nhello\r\n.dot\r\n',
    },
  ]);
  const line = await logged(done, /status=sent/);
  assert.match(line, /^to=<bob@example\.net>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, delay=/);
  assert.match(line, /, dsn=2\.0\.0, status=sent \(250 2\.0\.0 Ok: queued as PEER\)$/);
});

test('a small message is three writes: EHLO, the envelope, and all the rest', async (t) => {
  const peer = await startSmtpPeer(t);
  const agent = startAgent(t);
  const content = `Subject: x\n\n${'some text\n'.repeat(400)}`;
  await agent.deliver(`[127.0.0.1]:${peer.port}`, { content });
  await peer.waitFor(() => peer.isIdle);
  const chunks = peer.sessions[0]?.chunks.map(String) ?? [];
  assert.equal(chunks.length, 3);
  assert.match(chunks[2] ?? '', /^Subject: x[\s\S]*\r\n\.\r\nQUIT\r\n$/);
});

const ENDLESS = 'regexp:{{/^(a*)*(b*)*(a*)*\\1\\2\\3c$$/ IGNORE}, {/^fine/ REPLACE good}}';
const STUCK = { content: `Subject: x\n\n${'a'.repeat(120)}b${'a'.repeat(120)}b\n` };

test('a check without end keeps no other message waiting', async (t) => {
  const peer = await startSmtpPeer(t);
  const agent = startAgent(t, {
    slots: 10,
    main: { pattern_time_limit: '1h', smtp_body_checks: ENDLESS },
  });
  const nexthop = `[127.0.0.1]:${peer.port}`;
  // It ends with the agent.
  const slow = assert.rejects(agent.deliver(nexthop, STUCK));
  await peer.waitFor(() => peer.commands.includes('DATA'));
  const other = await agent.deliver(nexthop, { content: 'Subject: x\n\nfine\n' });
  assert.equal(other.status, 0);
  assert.equal(peer.messages[0]?.content, 'Subject: x\r\n\r\ngood\r\n');
  agent.kill();
  await slow;
});

test('a check without end defers its own message', async (t) => {
  const peer = await startSmtpPeer(t);
  const agent = startAgent(t, {
    main: { pattern_time_limit: '1s', smtp_body_checks: ENDLESS },
  });
  const { reports } = await agent.deliver(`[127.0.0.1]:${peer.port}`, STUCK);
  const [report] = reports;
  assert.equal(report?.service, 'defer');
  assert.equal(report?.reason, 'local data error while talking to 127.0.0.1[127.0.0.1]');
  await agent.waitForLog(/warning: smtp_body_checks: no answer in time for "aaa/);
});

test('a connection is used again, and the log counts', async (t) => {
  const peer = await startSmtpPeer(t);
  const agent = startAgent(t);
  const nexthop = `[127.0.0.1]:${peer.port}`;
  await agent.deliver(nexthop, REUSE);
  const second = await agent.deliver(nexthop, REUSE);
  const third = await agent.deliver(nexthop, { flags: 3 | LOAD });
  await peer.waitFor(() => peer.isIdle);
  assert.equal(peer.sessions.length, 1);
  const verbs = peer.commands.map((line) => line.split(' ')[0]);
  const mail = ['MAIL', 'RCPT', 'DATA'];
  assert.deepEqual(verbs, ['EHLO', ...mail, 'RSET', ...mail, 'RSET', ...mail, 'QUIT']);
  assert.match(await logged(second, /status=sent/), /:\d+, conn_use=2, delay=/);
  assert.match(await logged(third, /status=sent/), /:\d+, conn_use=3, delay=/);
});

test('a kept connection is closed politely when nobody comes', async (t) => {
  const peer = await startSmtpPeer(t);
  const agent = startAgent(t, { main: { smtp_connection_cache_time_limit: '1s' } });
  await agent.deliver(`[127.0.0.1]:${peer.port}`, REUSE);
  await peer.waitFor(() => peer.isIdle);
  assert.equal(peer.commands.at(-1), 'QUIT');
});

test('smtp_connection_reuse_count_limit ends a connection', async (t) => {
  const peer = await startSmtpPeer(t);
  const agent = startAgent(t, { main: { smtp_connection_reuse_count_limit: '1' } });
  const nexthop = `[127.0.0.1]:${peer.port}`;
  for (let round = 0; round < 3; round += 1) await agent.deliver(nexthop, REUSE);
  assert.equal(peer.sessions.length, 2);
});

test('a kept connection that the server has closed costs nothing but a new one', async (t) => {
  const peer = await startSmtpPeer(t, { RSET: 'drop' });
  const agent = startAgent(t);
  const nexthop = `[127.0.0.1]:${peer.port}`;
  await agent.deliver(nexthop, REUSE);
  const second = await agent.deliver(nexthop, REUSE);
  assert.equal(second.status, 0);
  assert.equal(peer.messages.length, 2);
});

test('smtp_connection_cache_destinations keeps connections without being asked', async (t) => {
  const peer = await startSmtpPeer(t);
  const nexthop = `[127.0.0.1]:${peer.port}`;
  const agent = startAgent(t, { main: { smtp_connection_cache_destinations: nexthop } });
  await agent.deliver(nexthop);
  await agent.deliver(nexthop);
  assert.equal(peer.sessions.length, 1);
});

test('one process delivers many messages at the same time', async (t) => {
  const slots = 8;
  let waiting = 0;
  let release = () => {};
  const all = new Promise<void>((resolve) => {
    release = resolve;
  });
  const peer = await startSmtpPeer(t, {
    // Nobody gets on before all are here.
    MAIL: async () => {
      waiting += 1;
      if (waiting === slots) release();
      await all;
      return '250 2.1.0 Ok';
    },
  });
  const agent = startAgent(t, { slots });
  const nexthop = `[127.0.0.1]:${peer.port}`;
  const done = await Promise.all(Array.from({ length: slots }, () => agent.deliver(nexthop)));
  assert.deepEqual(new Set(done.map(({ status }) => status)), new Set([0]));
  assert.equal(peer.messages.length, slots);
});

test('lmtp delivers to a socket in the file system, and each recipient has a verdict', async (t) => {
  const agent = startAgent(t, { protocol: 'lmtp' });
  const path = join(agent.queue, 'private/store');
  const END_OF_DATA = ['250 2.1.5 Ok', '452 4.2.2 full', '550 5.1.1 unknown'];
  const peer = await startSmtpPeer(t, { path, lmtp: true, END_OF_DATA });
  chmodSync(path, 0o777);
  const recipients = ['a@example.net', 'b@example.net', 'c@example.net'];
  const done = await agent.deliver('unix:private/store', { recipients });
  assert.equal(done.status, -1);
  assert.equal(peer.commands[0], 'LHLO mail.example.com');
  const label = 'mail.example.com[private/store]';
  assert.match(await logged(done, /to=<a@/), /relay=mail\.example\.com\[private\/store\], delay=/);
  assert.deepEqual(
    done.reports.map(({ service, recipient, reason }) => ({ service, recipient, reason })),
    [
      {
        service: 'defer',
        recipient: 'b@example.net',
        reason: `host ${label} said: 452 4.2.2 full (in reply to end of DATA command)`,
      },
      {
        service: 'bounce',
        recipient: 'c@example.net',
        reason: `host ${label} said: 550 5.1.1 unknown (in reply to end of DATA command)`,
      },
    ],
  );
});

test('a host that is passed over is told of in the log', async (t) => {
  const peer = await startSmtpPeer(t, { RCPT: ['450 4.2.0 later', '250 2.1.5 Ok'] });
  const agent = startAgent(t);
  const place = `[127.0.0.1]:${peer.port}`;
  const done = await agent.deliver(`[127.0.0.1]:1 ${place} ${place}`);
  assert.equal(done.status, 0);
  await logged(done, /^host 127\.0\.0\.1\[127\.0\.0\.1\] said: 450 4\.2\.0 later \(in reply/);
  await agent.waitForLog(/: connect to 127\.0\.0\.1\[127\.0\.0\.1\]:1: Connection refused\n/);
});

test('smtp_generic_maps changes the envelope and the headers, and nothing else', async (t) => {
  const peer = await startSmtpPeer(t);
  const agent = startAgent(t, {
    main: {
      smtp_generic_maps:
        'inline:{ ann@example.com=shown@outside.example, @inner.example=@outer.example, bob=robert }',
      myorigin: 'example.com',
      mydestination: 'example.com',
    },
  });
  const content =
    'From: Ann <ann@example.com>\nTo: "Joe, J" <joe@inner.example>\nSubject: ann@example.com\n\n' +
    'From: ann@example.com\n';
  const recipients = ['joe@inner.example', 'bob@example.com', 'bob@elsewhere.example'];
  await agent.deliver(`[127.0.0.1]:${peer.port}`, { content, recipients });
  const [message] = await peer.waitForMessages(1);
  assert.equal(message?.sender, 'shown@outside.example');
  assert.deepEqual(message?.recipients, [
    'joe@outer.example',
    'robert@example.com',
    'bob@elsewhere.example',
  ]);
  assert.equal(
    message?.content,
    'From: Ann <shown@outside.example>\r\nTo: "Joe, J" <joe@outer.example>\r\n' +
      'Subject: ann@example.com\r\n\r\nFrom: ann@example.com\r\n',
  );
});

const REFUSED: { main: Record<string, string>; reason: string }[] = [
  {
    main: { smtp_tls_security_level: 'encrypt' },
    reason: "smtp_tls_security_level = encrypt: this mail client can't do TLS yet",
  },
  {
    main: { smtp_enforce_tls: 'yes' },
    reason: "smtp_enforce_tls = yes: this mail client can't do TLS yet",
  },
  {
    main: { smtp_sasl_auth_enable: 'yes' },
    reason: "smtp_sasl_auth_enable = yes: this mail client can't authenticate itself yet",
  },
];
for (const { main, reason } of REFUSED) {
  test(`mail waits, and says why: ${reason}`, async (t) => {
    const peer = await startSmtpPeer(t);
    const agent = startAgent(t, { main });
    const done = await agent.deliver(`[127.0.0.1]:${peer.port}`);
    assert.deepEqual([done.status, done.site, done.reports[0]?.reason], [-1, reason, reason]);
    assert.equal(peer.sessions.length, 0);
  });
}

test('smtp_tls_security_level = may is mail in the clear', async (t) => {
  const peer = await startSmtpPeer(t, { extensions: ['STARTTLS', 'PIPELINING'] });
  const agent = startAgent(t, { main: { smtp_tls_security_level: 'may' } });
  assert.equal((await agent.deliver(`[127.0.0.1]:${peer.port}`)).status, 0);
});

for (const nexthop of ['[127.0.0.1', '[]', '[127.0.0.1]:nosuchport', '[127.0.0.1]:99999']) {
  test(`mail for the nexthop ${nexthop} waits until that is put right`, async (t) => {
    const done = await startAgent(t).deliver(nexthop);
    assert.equal(done.reports[0]?.service, 'defer');
    assert.match(done.reports[0]?.reason ?? '', / in server description: /);
  });
}

test('a damaged queue file is not sent to its end', async (t) => {
  const peer = await startSmtpPeer(t);
  const done = await startAgent(t).deliver(`[127.0.0.1]:${peer.port}`, { contentOffset: 0 });
  assert.equal(done.reports[0]?.reason, 'unreadable mail queue entry');
  await peer.waitFor(() => peer.isIdle);
  assert.equal(peer.messages.length, 0);
});

test('mail that loops goes to best_mx_transport', async (t) => {
  const agent = startAgent(t, { main: { best_mx_transport: 'other:somewhere' } });
  const requests = startOtherAgent(t, join(agent.queue, 'private/other'));
  const done = await agent.deliver('[127.0.0.1]:25');
  assert.equal(done.status, 0);
  assert.deepEqual(done.reports, []);
  assert.match(requests.join(''), /\0nexthop\0somewhere\0/);
});

/** An agent that is content with everything. */
function startOtherAgent(t: TestContext, path: string): string[] {
  const requests: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('protocol\0delivery_request_protocol\0\0');
    socket.on('data', (bytes: Buffer) => {
      requests.push(bytes.toString());
      const names = [
        'status',
        'diag_type',
        'diag_text',
        'mta_type',
        'mta_mname',
        'action',
        'reason',
      ];
      const group = names.map((name) => `${name}\0\0`).join('');
      if (requests.join('').includes('notify_flags')) socket.write(`${group}status\x000\0\0`);
    });
  });
  server.listen(path, () => chmodSync(path, 0o777));
  atEnd(t, () => server.close());
  return requests;
}

test('a server that never stops talking is not listened to for ever', async (t) => {
  const peer = await startSmtpPeer(t, {
    CONNECT: { raw: Buffer.from('220-again and again\r\n'.repeat(200_000)) },
  });
  const agent = startAgent(t, { main: { smtp_helo_timeout: '1s' } });
  const done = await agent.deliver(`[127.0.0.1]:${peer.port}`);
  assert.match(
    done.reports[0]?.reason ?? '',
    /^conversation with \S+ timed out while receiving the initial server greeting$/,
  );
});

test('a connection that is reset at once costs the attempt', async (t) => {
  const peer = await startSmtpPeer(t, { CONNECT: 'destroy' });
  const done = await startAgent(t).deliver(`[127.0.0.1]:${peer.port}`);
  assert.equal(done.status, -1);
  assert.match(
    done.reports[0]?.reason ?? '',
    /^connect to \S+: Connection reset by peer$|^lost connection with \S+ while receiving the initial/,
  );
});

test('what the log says of a server that talks nonsense', async (t) => {
  const peer = await startSmtpPeer(t, { MAIL: 'nonsense\n250 2.1.0 Ok' });
  const agent = startAgent(t);
  await agent.deliver(`[127.0.0.1]:${peer.port}`);
  await agent.waitForLog(/warning: non-SMTP response from 127\.0\.0\.1\[127\.0\.0\.1\]: nonsense/);
});
