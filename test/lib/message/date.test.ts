import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatDate, formatStamp } from '../../../lib/message/date.ts';
import { makeMessageId } from '../../../lib/message/message-id.ts';
import { parseZoneFile } from '../../../lib/message/time-zone.ts';

const MOMENTS = [0, 951_782_400_000, 1_700_000_000_123, 1_719_835_199_000, 1_795_310_602_000];

for (const ms of MOMENTS) {
  test(`the date of ${ms} is the one date(1) writes`, () => {
    const text = execFileSync(
      'date',
      [`-d@${Math.floor(ms / 1000)}`, '+%a, %e %b %Y %H:%M:%S %z (%Z)'],
      { env: { ...process.env, LC_ALL: 'C' }, encoding: 'utf8' },
    );
    assert.equal(formatDate(ms), text.trim());
  });
}

test('a stamp is in UTC', () => {
  assert.equal(formatStamp(1_795_301_334_000), '20261121224854');
});

test('a message id has the time, unless the queue id has it', () => {
  assert.equal(
    makeMessageId('9CD6821C243', 1_795_301_334_000, 'mx.lab.test'),
    '<20261121224854.9CD6821C243@mx.lab.test>',
  );
  assert.equal(makeMessageId('4jX7pX2y04zJTnh', 0, 'mx.lab.test'), '<4jX7pX2y04zJTnh@mx.lab.test>');
});

const BERLIN = '/usr/share/zoneinfo/Europe/Berlin';

test('a zone file knows its abbreviations', { skip: !existsSync(BERLIN) }, () => {
  const zone = parseZoneFile(readFileSync(BERLIN));
  assert.equal(zone.get(60), 'CET');
  assert.equal(zone.get(120), 'CEST');
});

test('what is no zone file has none', () => {
  assert.equal(parseZoneFile(Buffer.from('nonsense')).size, 0);
});
