/** What postmaster is told of sessions that went wrong: by Postfix's smtpd and ours. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readyFiles } from '../../support/ready-file.ts';
import { type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import { parseRecords } from '../../support/records.ts';
import type { Session } from './compare.ts';
import { type Step, send } from './dialogue.ts';
import { type ServerPair, startServerPairs } from './server-pair.ts';
import { DATA, EHLO, FROM, QUIT, stranger, TO } from './steps.ts';

const rcpt = (...names: readonly string[]) => names.map((name) => `RCPT TO:<${name}>`);
const repeat = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

/** Each has something that another class of errors is about. */
const SESSIONS: Readonly<Record<string, readonly Step[] | Session>> = {
  'a message': [EHLO, FROM, TO, ...DATA, QUIT],
  'an unknown command': ['FOO', QUIT],
  'no command at all': ['Subject: x'],
  'bad UTF-8': [send('NOOP \xff\r\n'), send('\r\n'), QUIT],
  'HELO without a name': ['HELO', 'RSET x', 'DATA', 'VRFY', 'ETRN', 'AUTH', 'STARTTLS', QUIT],
  'bad addresses': [EHLO, 'MAIL FROM:<a b>', 'MAIL x', FROM, ...rcpt('a b', ''), QUIT],
  'bad parameters': [EHLO, `${FROM} FOO`, `${FROM} SIZE=x`, FROM, `${TO} NOTIFY=x`, QUIT],
  'out of order': [EHLO, TO, 'DATA', FROM, FROM, 'DATA', QUIT],
  'nobody of that name': [EHLO, FROM, ...rcpt('nobody-here@lab.test', 'unknown@box.test'), QUIT],
  'no such sender': [EHLO, 'MAIL FROM:<unknown@relay.test>', ...rcpt('unlisted@lab.test'), QUIT],
  'no relay': stranger(EHLO, FROM, ...rcpt('x@far.test'), QUIT),
  'too large': [EHLO, `${FROM} SIZE=99999999`, QUIT],
  'a refusal': [EHLO, FROM, ...rcpt('reject@lab.test'), QUIT],
  'a deferral': [EHLO, FROM, ...rcpt('defer@lab.test', 'later@lab.test'), QUIT],
  'a refusal that is only a warning': [EHLO, FROM, ...rcpt('warn@lab.test'), QUIT],
  'a mistake of ours': [EHLO, FROM, ...rcpt('mistake@lab.test'), QUIT],
  'a table that fails': [EHLO, FROM, ...rcpt('fails@lab.test'), QUIT],
  'owners that nobody knows': [EHLO, FROM, ...rcpt('unlisted2@lab.test'), QUIT],
  'a message that is too big': [
    ...[EHLO, FROM, TO, 'DATA'],
    send(`a: b\r\n\r\n${'0123456789\r\n'.repeat(300)}.\r\n`),
    QUIT,
  ],
  'a message that loops': [
    ...[EHLO, FROM, TO, 'DATA'],
    send(`${'Received: from x by y; today\r\n'.repeat(51)}\r\nhello\r\n.\r\n`),
    QUIT,
  ],
  'too many errors': [...repeat(9, 'FOO'), send('FOO\r\n', 2), 'await end'],
  'lost in a command': ['FOO', send('MAIL', 0)],
  'lost in content': ['FOO', EHLO, FROM, TO, 'DATA', send('a: b\r\n', 0)],
  'long lines': [`FOO ${'x y '.repeat(100)}`, `FOO ${'x'.repeat(300)}`, 'FOO \t\x07', QUIT],
  'a long session': ['FOO', EHLO, ...repeat(6, 'NOOP'), 'RSET', 'NOOP', EHLO, 'FOO', QUIT],
  'a long session with messages': [
    ...['FOO', EHLO, FROM, TO, ...DATA, FROM, TO, ...DATA, 'BAR', 'HELO x', QUIT],
  ],
  'nothing but a hang-up': [],
};

const MAIN = {
  message_size_limit: '3000',
  smtpd_hard_error_limit: '10',
  smtpd_reject_unlisted_sender: 'yes',
  smtpd_restriction_classes: 'failing',
  failing: 'check_sender_access fail:always',
  local_recipient_maps:
    'inline:{' +
    ['root', 'reject', 'defer', 'later', 'warn', 'mistake', 'fails']
      .map((name) => `{${name}=x}`)
      .join(' ') +
    '}',
  smtpd_recipient_restrictions:
    'check_recipient_access inline:{{reject@lab.test = REJECT}, {defer@lab.test = DEFER}, ' +
    '{later@lab.test = DEFER_IF_PERMIT}, {warn@lab.test = warn_if_reject reject}, ' +
    '{mistake@lab.test = no_such_restriction}, {fails@lab.test = failing}}',
  // The tag tells whose notice it is.
  error_notice_recipient: 'errors-$syslog_name@lab.test',
  bounce_notice_recipient: 'bounces-$syslog_name@lab.test',
};

test('postmaster is told of the same sessions as by Postfix', {
  skip: whyNoPostfix(),
}, async (t) => {
  const setting = (classes: string, more = {}) => ({ ...MAIN, ...more, notify_classes: classes });
  const pairs = await startServerPairs(
    t,
    {
      all: setting('bounce, policy, protocol, resource, software, data'),
      'by default': setting('resource, software'),
      bounce: setting('bounce'),
      policy: setting('policy', { header_from_format: 'obsolete' }),
      protocol: setting('protocol', { smtpd_history_flush_threshold: '5' }),
    },
    { keepsMail: true },
  );
  let count = 0;
  for (const [name, pair] of Object.entries(pairs)) {
    for (const [what, given] of Object.entries(SESSIONS)) {
      await t.test(`${name}: ${what}`, async () => {
        const { steps, ...options } = 'steps' in given ? given : { steps: given };
        await pair.converse(steps, options);
        const { ours, real } = takeNotices(pair, name);
        count += ours.length;
        assert.deepEqual(ours, real);
      });
    }
  }
  assert.ok(count > 20, `${count} notices`);
});

/** A notice is there before its session ends in the log. */
function takeNotices({ mail, doors }: ServerPair, name: string): Record<Maker, string[][]> {
  const notices: Record<Maker, string[][]> = { ours: [], real: [] };
  for (const { id, path } of readyFiles(join(mail.queue, 'incoming'))) {
    const text = readFileSync(path);
    rmSync(path);
    const maker = /-(ours|real)-/.exec(text.toString('latin1'))?.[1] as Maker | undefined;
    if (maker === undefined) continue;
    const neutral = (record: string) =>
      record
        .replaceAll(`${maker}-${name}`, 'TAG')
        .replaceAll(doors[maker].host ?? '', 'HOST')
        .replaceAll(id, 'QID')
        .replace(/queued as \w+/, 'queued as QID')
        .replace(/\w{3}, [ \d]\d \w{3} \d{4} [\d:]{8} [+-]\d{4}/, 'DATE')
        .replace(/^(NMessage-Id: <)\d{14}/, '$1TIME');
    notices[maker].push(
      parseRecords(text)
        .filter(([type]) => !/[CTp]/.test(type))
        .map(([type, data]) => neutral(`${type}${data}`))
        .filter((record) => !record.startsWith('Acreate_time=')),
    );
  }
  return notices;
}
