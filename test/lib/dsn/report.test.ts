/** Notices, where no real Postfix is at hand to compare with. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILTIN_TEMPLATES } from '../../../lib/dsn/builtin-templates.ts';
import { NO_DETAIL } from '../../../lib/dsn/detail.ts';
import { type Report, reportEnd, reportLines } from '../../../lib/dsn/report.ts';
import { formatDate } from '../../../lib/message/date.ts';

const AT = Date.UTC(2026, 10, 21, 22, 38, 0);

const REPORT: Report = {
  template: BUILTIN_TEMPLATES.failure,
  text: ['sorry'],
  postmaster: false,
  to: 'alice@client.test',
  hostname: 'mx.lab.test',
  message: { queueId: 'BEB6C220193', envelopeId: '', sender: 'alice@client.test', arrivedAt: AT },
  madeAt: AT,
  encoding: '8bit',
  utf8: false,
  utf8Addresses: false,
  oldFrom: false,
};

const REFUSED = {
  recipient: { original: '', address: 'bad1@mix.test', dsnOriginal: 'rfc822;bad1@mix.test' },
  detail: {
    ...NO_DETAIL,
    status: '5.1.1',
    action: 'failed',
    diagType: 'smtp',
    diagText: '550 5.1.1 no such user here',
    mtaType: 'dns',
    mtaName: '127.0.0.1',
    reason:
      'host 127.0.0.1[127.0.0.1] said: 550 5.1.1 no such user here (in reply to RCPT TO command)',
  },
};

const BOUNDARY = 'BEB6C220193.1795300680/mx.lab.test';

test('a failure notice is what real Postfix makes', () => {
  const lines = [...reportLines(REPORT, () => [REFUSED], 'message'), ...reportEnd(REPORT)];
  assert.deepEqual(lines, [
    'From: Mail Delivery System <MAILER-DAEMON>',
    'Subject: Undelivered Mail Returned to Sender',
    'To: alice@client.test',
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type=delivery-status;',
    `\tboundary="${BOUNDARY}"`,
    'Content-Transfer-Encoding: 8bit',
    '',
    'This is a MIME-encapsulated message.',
    '',
    `--${BOUNDARY}`,
    'Content-Description: Notification',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    'sorry',
    '',
    '<bad1@mix.test>: host 127.0.0.1[127.0.0.1] said: 550 5.1.1 no such user here',
    '    (in reply to RCPT TO command)',
    '',
    `--${BOUNDARY}`,
    'Content-Description: Delivery report',
    'Content-Type: message/delivery-status',
    '',
    'Reporting-MTA: dns; mx.lab.test',
    'X-Postfix-Queue-ID: BEB6C220193',
    'X-Postfix-Sender: rfc822; alice@client.test',
    `Arrival-Date: ${formatDate(AT)}`,
    '',
    'Final-Recipient: rfc822; bad1@mix.test',
    'Original-Recipient: rfc822;bad1@mix.test',
    'Action: failed',
    'Status: 5.1.1',
    'Remote-MTA: dns; 127.0.0.1',
    'Diagnostic-Code: smtp; 550 5.1.1 no such user here',
    '',
    `--${BOUNDARY}`,
    'Content-Description: Undelivered Message',
    'Content-Type: message/rfc822',
    'Content-Transfer-Encoding: 8bit',
    '',
    'Return-Path: <alice@client.test>',
    '',
    `--${BOUNDARY}--`,
  ]);
});

test('the null sender of the message is MAILER-DAEMON', () => {
  const report = { ...REPORT, postmaster: true, message: { ...REPORT.message, sender: '' } };
  const lines = [...reportLines(report, () => [REFUSED], 'headers')];
  assert.ok(lines.includes('X-Postfix-Sender: rfc822; MAILER-DAEMON@mx.lab.test'));
  assert.ok(lines.includes('Return-Path: <>'));
  assert.ok(lines.includes('Subject: Postmaster Copy: Undelivered Mail'));
  assert.ok(!lines.includes('sorry'));
});

test('without log and message a notice still says what it can', () => {
  const report = { ...REPORT, message: { queueId: 'BEB6C220193', envelopeId: '' } };
  const lines = [...reportLines(report, () => [], 'headers')];
  assert.ok(lines.includes('\t--- Delivery report unavailable ---'));
  assert.equal(lines.at(-1), '\t--- Undelivered message unavailable ---');
});
