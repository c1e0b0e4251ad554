/** pflogsumm, which many an administrator runs every night, finds everything in a day of our lines. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DeliveryEvent, DeliveryStatus, LogEvent } from '../../../lib/log/event.ts';
import { formatEvent } from '../../../lib/log/line.ts';
import { formatStamp } from '../../../lib/log/prefix.ts';
import { freshDirectory } from '../../support/directories.ts';

const CLIENT = 'mail.a.test[192.0.2.1]';
const MESSAGES = 50;

type Line = readonly [program: string, event: LogEvent, word?: string];

function delivery(queueId: string, status: DeliveryStatus, more: Partial<DeliveryEvent>): LogEvent {
  return {
    kind: 'delivery',
    queueId,
    to: 'bob@b.test',
    relay: 'mx.b.test[192.0.2.2]:25',
    delay: 1.5,
    delays: [0.1, 0.1, 0.3, 1],
    dsn: status === 'sent' ? '2.0.0' : '4.0.0',
    status,
    text: '250 2.0.0 Ok: queued as X (really)',
    ...more,
  };
}

/** One message to four recipients, and what a day brings besides. */
function* day(): Generator<Line> {
  for (let number = 0; number < MESSAGES; number += 1) {
    const queueId = `9ADB521C${number.toString(16).toUpperCase().padStart(3, '0')}`;
    yield ['smtpd', { kind: 'connect', client: CLIENT }];
    yield [
      'smtpd',
      { kind: 'client', queueId, client: CLIENT, saslMethod: 'PLAIN', saslUsername: 'a' },
    ];
    yield ['cleanup', { kind: 'message-id', queueId, messageId: `<${number}@a.test>` }];
    yield [
      'qmgr',
      { kind: 'queued', queueId, from: 'odd one@a.test', sizeBytes: 1000, recipientCount: 4 },
    ];
    yield [
      'smtpd',
      { kind: 'disconnect', client: CLIENT, counts: [{ command: 'ehlo', ok: 1, total: 1 }] },
    ];
    yield ['smtp', delivery(queueId, 'sent', { connUse: 2, origTo: 'alias' })];
    yield [
      'local',
      delivery(queueId, 'sent', {
        to: 'c d@b.test',
        relay: 'local',
        text: 'forwarded as 1A2B3C4D5E',
      }),
    ];
    yield [
      'smtp',
      delivery(queueId, 'deferred', { to: 'e@b.test', text: 'connect to mx: Connection refused' }),
    ];
    yield [
      'local',
      delivery(queueId, 'bounced', { to: 'f@b.test', dsn: '5.1.1', text: 'unknown user: "f"' }),
    ];
    yield [
      'bounce',
      { kind: 'notification', queueId, to: 'sender', notice: 'non-delivery', newQueueId: 'B2' },
    ];
    yield ['qmgr', { kind: 'removed', queueId }];
  }
  const context = { from: 's@s.test', to: 'r@r.test', protocol: 'ESMTP', helo: 'h' };
  const reject = { kind: 'reject', stage: 'RCPT', client: CLIENT, ...context } as const;
  const refused = '554 5.7.1 <r@r.test>: Recipient address rejected: Access denied';
  yield ['smtpd', { ...reject, action: 'reject', text: refused }];
  yield ['smtpd', { ...reject, action: 'reject_warning', text: refused }];
  yield [
    'smtpd',
    { ...reject, action: 'hold', text: '<r@r.test>: Recipient address triggers HOLD action' },
  ];
  yield [
    'smtpd',
    { ...reject, action: 'discard', text: '<r@r.test>: Recipient address triggers DISCARD action' },
  ];
  yield [
    'cleanup',
    {
      kind: 'content',
      queueId: 'A1B2C3D4',
      action: 'reject',
      part: 'header',
      line: 'Subject: spam',
      client: CLIENT,
      ...context,
      text: '5.7.1 no',
    },
  ];
  yield ['pickup', { kind: 'pickup', queueId: 'ABCDEF0', uid: 0, from: 'root@a.test' }];
  yield [
    'qmgr',
    { kind: 'queued', queueId: 'ABCDEF0', from: 'root@a.test', sizeBytes: 500, recipientCount: 1 },
  ];
  yield ['smtpd', { kind: 'text', text: 'TLS trouble' }, 'warning: '];
  yield ['master', { kind: 'child-exit', command: '/x/smtpd', pid: 5, exitStatus: 1 }, 'warning: '];
  yield ['smtpd', { kind: 'text', text: 'bad boolean' }, 'fatal: '];
}

const skip = spawnSync('pflogsumm', ['--version']).status !== 0 && 'pflogsumm is not installed';

test('pflogsumm reads a day of our lines without loss', { skip }, (t) => {
  const start = Date.UTC(2026, 10, 21, 6, 0, 0);
  const lines = [...day()].map(
    ([program, event, word = ''], index) =>
      `${formatStamp(start + index * 100)} mail postfix/${program}[100]: ${word}${formatEvent(event)}\n`,
  );
  const file = join(freshDirectory(t), 'mail.log');
  writeFileSync(file, lines.join(''));
  const { stdout, stderr } = spawnSync('pflogsumm', ['--smtpd-stats', file], { encoding: 'utf8' });
  assert.equal(stderr, '');
  const totals: readonly (readonly [number, string])[] = [
    [MESSAGES + 1, 'received'],
    [MESSAGES, 'delivered'],
    [MESSAGES, 'forwarded'],
    [MESSAGES, 'deferred'],
    [MESSAGES, 'bounced'],
    [2, 'rejected'],
    [1, 'reject warnings'],
    [1, 'held'],
    [1, 'discarded'],
    [MESSAGES, 'connections'],
  ];
  for (const [count, what] of totals) {
    assert.match(stdout, new RegExp(`^ +${count} +${what}`, 'm'), what);
  }
  for (const found of [
    'TLS trouble',
    'bad boolean',
    '"odd one"@a.test',
    'Connection refused',
    'unknown user',
  ]) {
    assert.ok(stdout.includes(found), `${found} in\n${stdout}`);
  }
});
