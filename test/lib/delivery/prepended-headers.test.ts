import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAsctime, formatPrependedHeaders } from '../../../lib/delivery/prepended-headers.ts';

process.env['TZ'] = 'UTC';
const TIME = Date.UTC(2026, 10, 2, 3, 4, 5);

test('the lines before a message are those of Postfix, in its order', () => {
  assert.equal(
    formatPrependedHeaders({
      fromLine: TIME,
      sender: 'Ann@example.com',
      original: 'Bob+x@example.net',
      delivered: 'bob@example.net',
    }),
    'From Ann@example.com  Mon Nov  2 03:04:05 2026\n' +
      'Return-Path: <Ann@example.com>\n' +
      'X-Original-To: Bob+x@example.net\n' +
      'Delivered-To: bob@example.net\n',
  );
});

test('the null sender is MAILER-DAEMON and <>; what is not known is left out', () => {
  assert.equal(
    formatPrependedHeaders({ fromLine: TIME, sender: '', original: '' }),
    'From MAILER-DAEMON  Mon Nov  2 03:04:05 2026\nReturn-Path: <>\n',
  );
  assert.equal(formatPrependedHeaders({ sender: '', original: '' }), 'Return-Path: <>\n');
});

test('addresses are quoted, and bring no lines of their own', () => {
  assert.equal(
    formatPrependedHeaders({ sender: 'odd user@example.com', original: 'x\nBcc: y@example.com' }),
    'Return-Path: <"odd user"@example.com>\nX-Original-To: "x?Bcc: y"@example.com\n',
  );
});

test('asctime pads days with a blank and times with a zero', () => {
  assert.equal(formatAsctime(TIME), 'Mon Nov  2 03:04:05 2026');
  assert.equal(formatAsctime(Date.UTC(2026, 10, 21, 23, 6, 54)), 'Sat Nov 21 23:06:54 2026');
});
