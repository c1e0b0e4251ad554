/** The lines that log analysers know: samples of real Postfix, from the events that we log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { externalForm } from '../../../lib/log/address-text.ts';
import { formatDelay } from '../../../lib/log/delay-text.ts';
import type { DeliveryEvent, LogEvent } from '../../../lib/log/event.ts';
import { formatEvent } from '../../../lib/log/line.ts';
import { formatStamp } from '../../../lib/log/prefix.ts';
import { asciiOnly, printable, printableLine } from '../../../lib/log/printable.ts';

const CLIENT = 'unknown[127.0.0.1]';
const SENT: DeliveryEvent = {
  kind: 'delivery',
  queueId: '8CA562325B1',
  to: 'u@sink.example',
  relay: 'sink.example[127.0.0.31]:25',
  connUse: 2,
  delay: 0.0905,
  delays: [0.01, 0.08, 0.0004, 0],
  dsn: '2.0.0',
  status: 'sent',
  text: '250 2.0.0 Ok',
};

const LINES: readonly (readonly [LogEvent, string])[] = [
  [{ kind: 'text', text: 'statistics: x' }, 'statistics: x'],
  [{ kind: 'text', queueId: 'A1', text: 'skipped' }, 'A1: skipped'],
  [{ kind: 'connect', client: CLIENT }, 'connect from unknown[127.0.0.1]'],
  [
    {
      kind: 'disconnect',
      client: CLIENT,
      counts: [
        { command: 'helo', ok: 1, total: 2 },
        { command: 'ehlo', ok: 2, total: 2 },
        { command: 'mail', ok: 0, total: 4 },
        { command: 'rcpt', ok: 0, total: 0 },
        { command: 'unknown', ok: 0, total: 2 },
      ],
    },
    'disconnect from unknown[127.0.0.1] helo=1/2 ehlo=2 mail=0/4 unknown=0/2 commands=3/10',
  ],
  [
    { kind: 'disconnect', client: CLIENT, counts: [] },
    'disconnect from unknown[127.0.0.1] commands=0/0',
  ],
  [
    {
      kind: 'session-lost',
      why: 'lost connection',
      stage: 'DATA',
      client: CLIENT,
      receivedBytes: 19,
    },
    'lost connection after DATA (19 bytes) from unknown[127.0.0.1]',
  ],
  [
    { kind: 'session-lost', why: 'too many errors', stage: 'RCPT', client: CLIENT },
    'too many errors after RCPT from unknown[127.0.0.1]',
  ],
  [{ kind: 'client', client: CLIENT }, 'NOQUEUE: client=unknown[127.0.0.1]'],
  [
    {
      kind: 'client',
      queueId: '9ADB521C235',
      client: CLIENT,
      saslMethod: 'PLAIN',
      saslUsername: 'alice',
      saslSender: 'al+3Dx',
      originalQueueId: 'ABC',
      originalClient: 'host.example[198.51.100.2]',
    },
    '9ADB521C235: client=unknown[127.0.0.1], sasl_method=PLAIN, sasl_username=alice, ' +
      'sasl_sender=al+3Dx, orig_queue_id=ABC, orig_client=host.example[198.51.100.2]',
  ],
  [
    {
      kind: 'reject',
      action: 'reject',
      stage: 'RCPT',
      client: CLIENT,
      text: '554 5.7.1 <x@other.example>: Relay access denied',
      from: '',
      to: 'x@other.example',
      protocol: 'ESMTP',
      helo: 'c.example',
      rule: 'smtpd_relay_restrictions',
    },
    'NOQUEUE: reject: RCPT from unknown[127.0.0.1]: 554 5.7.1 <x@other.example>: Relay access denied; ' +
      'from=<> to=<x@other.example> proto=ESMTP helo=<c.example>',
  ],
  [
    {
      kind: 'reject',
      action: 'reject',
      stage: 'VRFY',
      client: CLIENT,
      text: '550 5.1.1 <a b@example.com>: Recipient address rejected: User unknown in local recipient table',
      to: 'a b@example.com',
      protocol: 'SMTP',
    },
    'NOQUEUE: reject: VRFY from unknown[127.0.0.1]: 550 5.1.1 <a b@example.com>: Recipient address ' +
      'rejected: User unknown in local recipient table; to=<"a b"@example.com> proto=SMTP',
  ],
  [
    {
      kind: 'reject',
      queueId: '868CB21CA14',
      action: 'hold',
      stage: 'RCPT',
      client: CLIENT,
      text: '<h@example.com>: Recipient address triggers HOLD action',
      from: 's@s.example',
      to: 'h@example.com',
      protocol: 'ESMTP',
      helo: 'c.example',
    },
    '868CB21CA14: hold: RCPT from unknown[127.0.0.1]: <h@example.com>: Recipient address triggers ' +
      'HOLD action; from=<s@s.example> to=<h@example.com> proto=ESMTP helo=<c.example>',
  ],
  [
    {
      kind: 'auth-failure',
      client: CLIENT,
      mechanism: 'PLAIN',
      reason: 'authentication failure',
      username: 'alice',
    },
    'unknown[127.0.0.1]: SASL PLAIN authentication failed: authentication failure, sasl_username=alice',
  ],
  [
    {
      kind: 'auth-failure',
      client: CLIENT,
      mechanism: 'PLAIN',
      reason: 'Connection lost to authentication server',
    },
    'unknown[127.0.0.1]: SASL PLAIN authentication failed: Connection lost to authentication server, ' +
      'sasl_username=(unavailable)',
  ],
  [
    {
      kind: 'tls',
      trust: 'Anonymous',
      direction: 'from',
      peer: CLIENT,
      summary: 'TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)',
    },
    'Anonymous TLS connection established from unknown[127.0.0.1]: TLSv1.3 with cipher ' +
      'TLS_AES_256_GCM_SHA384 (256/256 bits)',
  ],
  [
    {
      kind: 'content',
      queueId: 'A1',
      action: 'reject',
      part: 'header',
      line: 'Subject: spam',
      client: CLIENT,
      from: 's@x',
      to: 'r@y',
      protocol: 'ESMTP',
      helo: 'x',
      text: '5.7.1 message content rejected',
    },
    'A1: reject: header Subject: spam from unknown[127.0.0.1]; from=<s@x> to=<r@y> proto=ESMTP ' +
      'helo=<x>: 5.7.1 message content rejected',
  ],
  [
    {
      kind: 'content',
      queueId: 'A1',
      action: 'milter-reject',
      part: 'END-OF-MESSAGE',
      client: CLIENT,
      from: 's@x',
      to: 'r@y',
      protocol: 'ESMTP',
      helo: 'x',
      text: '5.7.1 Command rejected',
    },
    'A1: milter-reject: END-OF-MESSAGE from unknown[127.0.0.1]: 5.7.1 Command rejected; from=<s@x> ' +
      'to=<r@y> proto=ESMTP helo=<x>',
  ],
  [
    {
      kind: 'message-id',
      queueId: 'A1',
      messageId: '<20261121224155.9ADB521C235@mail.example.com>',
    },
    'A1: message-id=<20261121224155.9ADB521C235@mail.example.com>',
  ],
  [{ kind: 'message-id', queueId: 'A1', messageId: '' }, 'A1: message-id=<>'],
  [
    { kind: 'message-id', queueId: 'A1', messageId: '<a@b>', resent: true },
    'A1: resent-message-id=<a@b>',
  ],
  [
    { kind: 'pickup', queueId: 'A1', uid: 0, from: 'bench@example.com' },
    'A1: uid=0 from=<bench@example.com>',
  ],
  [
    { kind: 'pickup', queueId: 'A1', uid: 102, from: '', originalQueueId: 'F0A4F232833' },
    'A1: uid=102 from=<> orig_id=F0A4F232833',
  ],
  [
    { kind: 'queued', queueId: 'A1', from: 's@example.com', sizeBytes: 260, recipientCount: 1 },
    'A1: from=<s@example.com>, size=260, nrcpt=1 (queue active)',
  ],
  [
    { kind: 'expired', queueId: 'A1', from: 's@example.com', forced: false },
    'A1: from=<s@example.com>, status=expired, returned to sender',
  ],
  [
    { kind: 'expired', queueId: 'A1', from: 's@example.com', forced: true },
    'A1: from=<s@example.com>, status=force-expired, returned to sender',
  ],
  [{ kind: 'removed', queueId: 'A1' }, 'A1: removed'],
  [
    SENT,
    '8CA562325B1: to=<u@sink.example>, relay=sink.example[127.0.0.31]:25, conn_use=2, delay=0.09, ' +
      'delays=0.01/0.08/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)',
  ],
  [
    { ...SENT, connUse: 1, origTo: 'U@Sink.Example', relay: 'local' },
    '8CA562325B1: to=<u@sink.example>, relay=local, delay=0.09, delays=0.01/0.08/0/0, dsn=2.0.0, ' +
      'status=sent (250 2.0.0 Ok)',
  ],
  [
    { ...SENT, to: 'odd user@a.example', origTo: 'root', relay: 'none', connUse: undefined },
    '8CA562325B1: to=<"odd user"@a.example>, orig_to=<root>, relay=none, delay=0.09, ' +
      'delays=0.01/0.08/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)',
  ],
  [
    { kind: 'notification', queueId: 'A1', to: 'sender', notice: 'non-delivery', newQueueId: 'B2' },
    'A1: sender non-delivery notification: B2',
  ],
  [
    { kind: 'notification', queueId: 'A1', to: 'postmaster', notice: 'delay', newQueueId: 'B2' },
    'A1: postmaster delay notification: B2',
  ],
  [{ kind: 'super', queueId: 'A1', action: 'placed on hold' }, 'A1: placed on hold'],
  [
    { kind: 'child-exit', command: '/usr/lib/postfix/sbin/smtpd', pid: 8027, exitStatus: 1 },
    'process /usr/lib/postfix/sbin/smtpd pid 8027 exit status 1',
  ],
  [
    { kind: 'child-exit', command: '/usr/lib/postfix/sbin/smtpd', pid: 13728, signal: 11 },
    'process /usr/lib/postfix/sbin/smtpd pid 13728 killed by signal 11',
  ],
];

for (const [event, line] of LINES) {
  test(`${event.kind}: ${line.slice(0, 60)}`, () => {
    assert.equal(formatEvent(event), line);
  });
}

test('delays have two significant digits, two decimals at most, and no idle zeros', () => {
  const delays: readonly (readonly [number, string])[] = [
    [-3, '0'],
    [0, '0'],
    [0.000001, '0'],
    [0.0049, '0'],
    [0.005, '0.01'],
    [0.06, '0.06'],
    [0.0996, '0.1'],
    [0.104, '0.1'],
    [0.996, '1'],
    [1.24, '1.2'],
    [6.9, '6.9'],
    [9.96, '10'],
    [12.4, '12'],
    [12.6, '13'],
    [5403.2, '5403'],
    [Number.NaN, '0'],
  ];
  for (const [seconds, text] of delays) assert.equal(formatDelay(seconds), text, String(seconds));
  assert.equal(formatDelay(0.012345, 4), '0.012');
  assert.equal(formatDelay(0.6, 0), '1');
});

test('addresses are logged in external form', () => {
  for (const [internal, external] of [
    ['', ''],
    ['a@b', 'a@b'],
    ['a.b-c+d=e@b', 'a.b-c+d=e@b'],
    ['a b@c', '"a b"@c'],
    ['a"b\\c@d', '"a\\"b\\\\c"@d'],
    ['a@b@c', '"a@b"@c'],
    ['.a@c', '".a"@c'],
    ['ünï@c', 'ünï@c'],
    ['local only', '"local only"'],
    ['@c', '""@c'],
    ['@a,@b:c d@e', '@a,@b:"c d"@e'],
  ] as const) {
    assert.equal(externalForm(internal), external);
  }
});

test('what could harm a terminal, or forge a line, becomes a question mark', () => {
  assert.equal(printable('a\r\nNov 1 forged\x1b[31m\x7f\u0085'), 'a??Nov 1 forged?[31m??');
  assert.equal(printable('blå 日本 🙂'), 'blå 日本 🙂');
  assert.equal(printable('\ud800a\udc00'), '?a?');
  assert.equal(asciiOnly('ré\x01'), 'r???');
});

test('a line is cut at 2000 bytes, between characters', () => {
  assert.equal(printableLine('x'.repeat(3000)).length, 2000);
  const cut = printableLine('é'.repeat(1500) + 'x');
  assert.equal(Buffer.byteLength(cut), 2000);
  assert.equal(printableLine('a' + '日'.repeat(1000)).length, 667);
});

test('the day of a stamp has two digits', () => {
  assert.match(formatStamp(Date.UTC(2026, 10, 1, 12, 0, 5)), /^Nov 01 \d\d:\d\d:05$/);
});
