/**
 * Whom fail2ban's own filter for Postfix would shut out, in each of its modes: the same clients,
 * whether the log is Postfix's or ours.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../../support/condition.ts';
import { saslWith, startDovecot, whyNoDovecot } from '../../support/dovecot.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { type Step, send } from './dialogue.ts';
import { startServerPairs } from './server-pair.ts';

const PROGRAM = '/usr/bin/fail2ban-regex';
const EHLO = 'EHLO client.test';
const FROM = 'MAIL FROM:<ann@client.test>';
const TO = 'RCPT TO:<root@lab.test>';
const base64 = (text: string) => Buffer.from(text).toString('base64');
const WRONG = `AUTH PLAIN ${base64('\0joe\0wrong')}`;

/** What clients do, and the modes that have something against it. Each has an address of its own. */
const CLIENTS: readonly (readonly [what: string, steps: readonly Step[], modes: string])[] = [
  ['a message', [EHLO, FROM, TO, 'DATA', send('a: b\r\n.\r\n'), 'QUIT'], ''],
  [
    'nobody here',
    [EHLO, FROM, 'RCPT TO:<nobody-here@lab.test>', 'QUIT'],
    'normal more extra aggressive',
  ],
  ['a relay', [EHLO, FROM, 'RCPT TO:<u@far.test>', 'QUIT'], 'normal more extra aggressive'],
  ['a short HELO', ['HELO client', FROM, TO, 'QUIT'], 'normal more extra aggressive'],
  ['a short sender', [EHLO, 'MAIL FROM:<ann@client>', TO, 'QUIT'], ''],
  ['a client that is not wanted', [EHLO, FROM, TO, 'QUIT'], 'normal more extra aggressive'],
  ['a pipeline', [send(`${EHLO}\r\nNOOP\r\n`, 1), 'await end'], 'normal more extra aggressive'],
  [
    'many errors',
    [EHLO, ...Array.from({ length: 5 }, () => 'RCPT TO:<x@lab.test>'), 'await end'],
    'normal more extra aggressive errors',
  ],
  ['lost after EHLO', [EHLO, 'half-close', 'await end'], 'ddos aggressive'],
  ['lost in AUTH', [EHLO, 'AUTH LOGIN', 'half-close', 'await end'], 'ddos aggressive'],
  ['PLAIN', [EHLO, WRONG, 'QUIT'], 'auth extra aggressive ddos'],
  [
    'LOGIN',
    [EHLO, 'AUTH LOGIN', base64('joe'), base64('wrong'), 'QUIT'],
    'auth extra aggressive ddos',
  ],
  ['CRAM-MD5', [EHLO, 'AUTH CRAM-MD5', base64('joe 0123'), 'QUIT'], 'auth extra aggressive ddos'],
  ['no mechanism', [EHLO, 'AUTH FOO', 'QUIT'], 'ddos aggressive'],
  ['a mechanism that is not offered', [EHLO, 'AUTH DIGEST-MD5', 'QUIT'], 'ddos aggressive'],
  ['a login', [EHLO, `AUTH PLAIN ${base64('\0joe\0secret')}`, 'QUIT'], ''],
];
const MODES = ['normal', 'auth', 'rbl', 'more', 'ddos', 'extra', 'aggressive', 'errors'];
const FIRST = 10;
const addressOf = (at: number, network = '127.0.0') => `${network}.${FIRST + at}`;
const unwanted = CLIENTS.findIndex(([what]) => what === 'a client that is not wanted');

test("fail2ban's filter finds in our log whom it finds in Postfix's", {
  skip: whyNoPostfix() || whyNoDovecot() || (!existsSync(PROGRAM) && 'fail2ban is not installed'),
}, async (t) => {
  const dovecot = await startDovecot(t, { joe: 'secret' });
  const pairs = await startServerPairs(t, {
    one: {
      ...saslWith(dovecot),
      smtpd_hard_error_limit: '4',
      smtpd_forbid_unauth_pipelining: 'yes',
      smtpd_client_restrictions: `check_client_access inline:{${addressOf(unwanted)}=REJECT}`,
      smtpd_helo_restrictions: 'reject_non_fqdn_helo_hostname',
      smtpd_sender_restrictions: 'reject_non_fqdn_sender',
    },
  });
  const play = ([, steps]: (typeof CLIENTS)[number], at: number) =>
    (['ours', 'real'] as const).map((maker) =>
      pairs.one.talk(maker, steps, { from: addressOf(at) }),
    );
  await Promise.all(CLIENTS.flatMap(play));
  const { mail } = pairs.one;
  const ends = (maker: string) =>
    mail.log().match(new RegExp(` ${maker}-one/smtpd\\S+: disconnect from .*\n`, 'g'))?.length;
  await eventually(
    'the end of all sessions',
    () => ends('ours') === CLIENTS.length && ends('real') === CLIENTS.length,
  );
  // Postfix's log is that of clients in another network.
  const lines = mail.log().split('\n');
  const ours = lines.filter((line) => line.includes(' ours-one/smtpd['));
  const real = lines
    .filter((line) => line.includes(' real-one/smtpd['))
    .map((line) => line.replaceAll('[127.0.0.', '[127.0.1.'));
  const log = join(mail.directory, 'both.log');
  const text = [...ours, ...real]
    .join('\n')
    .replace(/ (?:ours|real)-one\/smtpd\[/g, ' postfix/smtpd[');
  writeFileSync(log, `${text}\n`);
  for (const mode of MODES) {
    await t.test(mode, () => {
      const { stdout } = spawnSync(PROGRAM, [log, `postfix[mode=${mode}]`, '--out', 'ip'], {
        encoding: 'utf8',
      });
      const found = stdout.trim().split('\n');
      const of = (network: string) =>
        CLIENTS.map(([what], at) => [
          what,
          found.filter((ip) => ip === addressOf(at, network)).length,
        ]);
      assert.deepEqual(of('127.0.0'), of('127.0.1'));
      for (const [what, count] of of('127.0.0')) {
        const [, , modes = ''] = CLIENTS.find(([name]) => name === what) ?? [];
        assert.equal(Number(count) > 0, modes.split(' ').includes(mode), `${what}: ${count}`);
      }
    });
  }
});
