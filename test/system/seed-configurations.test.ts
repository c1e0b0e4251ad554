/**
 * Five configurations that every tutorial has, each as a whole mail system: who gets in, who is told
 * what, what the log says, and where the mail arrives.
 */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { converse, type Step, send } from '../services/smtpd/dialogue.ts';
import { makeCertificates } from '../support/certificates.ts';
import { eventually } from '../support/condition.ts';
import { startDnsServer } from '../support/dns-server.ts';
import {
  type MailSystem,
  type MailSystemOptions,
  startMailSystem,
} from '../support/mail-system.ts';
import { startSmtpPeer } from '../support/smtp-peer.ts';
import { troubleIn } from './log-trouble.ts';

const FRIEND = '127.0.0.1';
const EHLO = 'EHLO client.test';
const FROM = 'MAIL FROM:<ann@client.test>';
const TO = 'RCPT TO:<root@lab.test>';
const content = (subject: string): readonly Step[] => [
  'DATA',
  send(`From: ann@client.test\r\nSubject: ${subject}\r\n\r\nhello\r\n.\r\n`),
];
const QUEUED = /^250 2\.0\.0 Ok: queued as /;

/** A client, what it says, and what the last reply before QUIT is. */
type Row = readonly [from: string, steps: readonly Step[], reply: RegExp];

const asRoot = process.getuid?.() === 0 ? false : 'delivers as other users';

async function start(t: TestContext, options: MailSystemOptions): Promise<MailSystem> {
  const mail = await startMailSystem(t, {
    mailDirectory: true,
    ...options,
    main: {
      mynetworks: `${FRIEND}/32`,
      alias_maps: 'inline:{root=bin, postmaster=root}',
      mail_spool_directory: '$config_directory/../mail/',
      home_mailbox: '',
      smtpd_error_sleep_time: '0',
      smtpd_peername_lookup: 'no',
      ...options.main,
    },
  });
  return mail;
}

async function play({ port }: MailSystem, rows: readonly Row[]): Promise<void> {
  for (const [from, steps, expected] of rows) {
    const replies = await converse({ port, from }, [...steps, 'QUIT']);
    assert.match(replies.at(-2) ?? '', expected, JSON.stringify([from, steps]));
    assert.equal(replies.at(-1), '221 2.0.0 Bye');
  }
}

/** Subjects of all messages that root has got, when there are so many. */
async function delivered(mail: MailSystem, count: number): Promise<string[]> {
  await mail.waitUntilEmpty();
  const messages = await eventually(`${count} messages`, () => {
    const all = mail.maildir('mail/bin');
    return all.length >= count && all;
  });
  return messages.map((text) => /^Subject: (.*)$/m.exec(text)?.[1] ?? '').sort();
}

function makeTables(mail: MailSystem, ...names: readonly string[]): void {
  for (const name of names) {
    const { status, stderr } = mail.run('postmap', [`hash:${join(mail.config, name)}`]);
    assert.equal(status, 0, stderr);
  }
}

test('a client access map', { skip: asRoot }, async (t) => {
  const dns = await startDnsServer(t, {
    '11.0.0.127.in-addr.arpa': { PTR: ['pc.bad.test'] },
    'pc.bad.test': { A: ['127.0.0.11'] },
    '12.0.0.127.in-addr.arpa': { PTR: ['pc.good.test'] },
    'pc.good.test': { A: ['127.0.0.12'] },
    '13.0.0.127.in-addr.arpa': { PTR: ['pc.good.test'] },
  });
  const mail = await start(t, {
    main: {
      dns_nameservers: dns.nameserver,
      smtp_host_lookup: 'dns',
      smtpd_peername_lookup: 'yes',
      smtpd_client_restrictions:
        'permit_mynetworks, check_client_access hash:$config_directory/client_access, reject_unknown_client_hostname',
    },
    files: {
      client_access: [
        '127.0.0.5 REJECT you know why',
        '127.0.0.6 450 4.7.1 later',
        '127.0.1 OK',
        '127.0.2 554 5.7.1 a whole network',
        'bad.test REJECT',
        'pc.good.test OK',
        '',
      ].join('\n'),
    },
  });
  makeTables(mail, 'client_access');
  const mine = (subject: string): Step[] => [EHLO, FROM, TO, ...content(subject)];
  await play(mail, [
    [FRIEND, mine('of a friend'), QUEUED],
    [
      '127.0.0.5',
      [EHLO, FROM, TO],
      /^554 5\.7\.1 <unknown\[127\.0\.0\.5\]>: Client host rejected: you know why$/,
    ],
    [
      '127.0.0.6',
      [EHLO, FROM, TO],
      /^450 4\.7\.1 <unknown\[127\.0\.0\.6\]>: Client host rejected: later$/,
    ],
    ['127.0.1.9', mine('of a network'), QUEUED],
    [
      '127.0.2.9',
      [EHLO, FROM, TO],
      /^554 5\.7\.1 <unknown\[127\.0\.2\.9\]>: Client host rejected: a whole network$/,
    ],
    [
      '127.0.0.11',
      [EHLO, FROM, TO],
      /^554 5\.7\.1 <pc\.bad\.test\[127\.0\.0\.11\]>: Client host rejected: Access denied$/,
    ],
    ['127.0.0.12', mine('of a name'), QUEUED],
    [
      '127.0.0.13',
      [EHLO, FROM, TO],
      /^450 4\.7\.25 Client host rejected: cannot find your hostname, \[127\.0\.0\.13\]$/,
    ],
    [
      '127.0.0.7',
      [EHLO, FROM, TO],
      /^450 4\.7\.25 Client host rejected: cannot find your hostname, \[127\.0\.0\.7\]$/,
    ],
    [
      '127.0.1.9',
      [EHLO, FROM, 'RCPT TO:<u@far.test>'],
      /^454 4\.7\.1 <u@far\.test>: Relay access denied$/,
    ],
  ]);
  assert.deepEqual(await delivered(mail, 3), ['of a friend', 'of a name', 'of a network']);
  assert.match(
    mail.log(),
    /NOQUEUE: reject: RCPT from unknown\[127\.0\.0\.5\]: 554 5\.7\.1 <unknown\[127\.0\.0\.5\]>: Client host rejected: you know why; from=<ann@client\.test> to=<root@lab\.test> proto=ESMTP helo=<client\.test>/,
  );
  assert.deepEqual(
    troubleIn(mail.log(), /hostname pc\.good\.test does not resolve to address 127\.0\.0\.13/),
    [],
  );
});

test('maps of senders and recipients, and all others are rejected', { skip: asRoot }, async (t) => {
  const mail = await start(t, {
    main: {
      smtpd_sender_restrictions: 'check_sender_access hash:$config_directory/sender_access, reject',
      smtpd_recipient_restrictions:
        'check_recipient_access hash:$config_directory/recipient_access, reject',
      smtpd_relay_restrictions: 'permit_mynetworks, reject_unauth_destination',
      recipient_delimiter: '+',
    },
    files: {
      sender_access:
        'ann@client.test OK\nclient.test REJECT only Ann\nspam@ REJECT\n.friends.test OK\n<> OK\n',
      recipient_access:
        'root@lab.test OK\npostmaster@lab.test OK\nlab.test 550 5.1.1 not for you\nfar.test OK\n',
    },
  });
  makeTables(mail, 'sender_access', 'recipient_access');
  const from = (address: string) => [EHLO, `MAIL FROM:<${address}>`];
  await play(mail, [
    ['127.0.0.5', [...from('ann@client.test'), TO, ...content('from Ann')], QUEUED],
    [
      '127.0.0.5',
      [...from('bob@client.test'), TO],
      /^554 5\.7\.1 <bob@client\.test>: Sender address rejected: only Ann$/,
    ],
    [
      '127.0.0.5',
      [...from('spam@other.test'), TO],
      /^554 5\.7\.1 <spam@other\.test>: Sender address rejected: Access denied$/,
    ],
    [
      '127.0.0.5',
      [...from('x@other.test'), TO],
      /^554 5\.7\.1 <x@other\.test>: Sender address rejected: Access denied$/,
    ],
    [
      '127.0.0.5',
      [...from('x@a.friends.test'), TO],
      /^554 5\.7\.1 <x@a\.friends\.test>: Sender address rejected: Access denied$/,
    ],
    ['127.0.0.5', [...from(''), TO, ...content('from nobody')], QUEUED],
    [
      '127.0.0.5',
      [EHLO, FROM, 'RCPT TO:<root+list@lab.test>', ...content('with an extension')],
      QUEUED,
    ],
    [
      '127.0.0.5',
      [EHLO, FROM, 'RCPT TO:<postmaster@lab.test>', ...content('for the postmaster')],
      QUEUED,
    ],
    [
      '127.0.0.5',
      [EHLO, FROM, 'RCPT TO:<daemon@lab.test>'],
      /^550 5\.1\.1 <daemon@lab\.test>: Recipient address rejected: not for you$/,
    ],
    [
      '127.0.0.5',
      [EHLO, FROM, 'RCPT TO:<u@else.test>'],
      /^554 5\.7\.1 <u@else\.test>: Relay access denied$/,
    ],
    // What a map permits is not relayed for that.
    [
      '127.0.0.5',
      [EHLO, FROM, 'RCPT TO:<u@far.test>'],
      /^554 5\.7\.1 <u@far\.test>: Relay access denied$/,
    ],
    [
      FRIEND,
      [EHLO, FROM, 'RCPT TO:<u@else.test>'],
      /^554 5\.7\.1 <u@else\.test>: Recipient address rejected: Access denied$/,
    ],
  ]);
  const subjects = ['for the postmaster', 'from Ann', 'from nobody', 'with an extension'];
  assert.deepEqual(await delivered(mail, 4), subjects);
  assert.deepEqual(troubleIn(mail.log()), []);
});

test('lists in the DNS, one of them on trial', { skip: asRoot }, async (t) => {
  const dns = await startDnsServer(t, {
    '21.0.0.127.trial.test': { A: ['127.0.0.2'], TXT: ['on trial'] },
    '22.0.0.127.strict.test': { A: ['127.0.0.3'], TXT: ['see http://strict.test/'] },
    '22.0.0.127.trial.test': { A: ['127.0.0.2'] },
    '23.0.0.127.strict.test': { A: ['127.0.0.9'] },
    '24.0.0.127.strict.test': { rcode: 'SERVFAIL' },
  });
  const mail = await start(t, {
    main: {
      dns_nameservers: dns.nameserver,
      smtpd_recipient_restrictions:
        'permit_mynetworks, reject_unauth_destination, warn_if_reject reject_rbl_client trial.test, reject_rbl_client strict.test=127.0.0.[2..4]',
    },
  });
  const mine = (subject: string): Step[] => [EHLO, FROM, TO, ...content(subject)];
  await play(mail, [
    [FRIEND, mine('of a friend'), QUEUED],
    ['127.0.0.20', mine('of a stranger'), QUEUED],
    ['127.0.0.21', mine('of one on trial'), QUEUED],
    [
      '127.0.0.22',
      [EHLO, FROM, TO],
      /^554 5\.7\.1 Service unavailable; Client host \[127\.0\.0\.22\] blocked using strict\.test; see http:\/\/strict\.test\/$/,
    ],
    ['127.0.0.23', mine('of one who is listed as something else'), QUEUED],
    ['127.0.0.24', mine('while a list is down'), QUEUED],
  ]);
  assert.equal((await delivered(mail, 5)).length, 5);
  const warned = mail.log().match(/NOQUEUE: reject_warning: RCPT from .*/g) ?? [];
  assert.deepEqual(
    warned.map((line) => line.replace(/;.*?(blocked using \S+).*/, ' $1')),
    [
      'NOQUEUE: reject_warning: RCPT from unknown[127.0.0.21]: 554 5.7.1 Service unavailable blocked using trial.test;',
      'NOQUEUE: reject_warning: RCPT from unknown[127.0.0.22]: 554 5.7.1 Service unavailable blocked using trial.test;',
    ],
  );
  assert.match(mail.log(), /NOQUEUE: reject: RCPT from unknown\[127\.0\.0\.22\]: 554 5\.7\.1 /);
  assert.deepEqual(
    troubleIn(mail.log(), /warning: 24\.0\.0\.127\.strict\.test: RBL lookup error: /),
    [],
  );
});

test('who has logged in may send to everybody', { skip: asRoot }, async (t) => {
  const peer = await startSmtpPeer(t, {});
  const { certificate, key } = makeCertificates(t).make('mx', '/CN=mx.lab.test');
  const mail = await start(t, {
    main: {
      smtpd_sasl_auth_enable: 'yes',
      smtpd_sasl_type: 'posthaste',
      auth_sources: '$config_directory/passwords',
      auth_failure_delay: '0',
      smtpd_tls_security_level: 'may',
      smtpd_tls_auth_only: 'yes',
      smtpd_tls_cert_file: certificate,
      smtpd_tls_key_file: key,
      smtpd_sender_login_maps: 'inline:{ann@client.test=joe}',
      smtpd_sender_restrictions: 'reject_authenticated_sender_login_mismatch',
      smtpd_recipient_restrictions:
        'permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination',
      smtpd_sasl_authenticated_header: 'yes',
      default_transport: `smtp:[127.0.0.1]:${peer.port}`,
    },
    master: ['auth unix - n n - 0 auth'],
  });
  const passwords = join(mail.config, 'passwords');
  writeFileSync(passwords, 'joe:{PLAIN}secret\n');
  chmodSync(passwords, 0o600);
  const login = (password: string) =>
    `AUTH PLAIN ${Buffer.from(`\0joe\0${password}`).toString('base64')}`;
  const secured: Step[] = [EHLO, 'STARTTLS', { tls: {} }, EHLO];
  const far = 'RCPT TO:<bob@far.test>';
  const stranger = '127.0.0.5';
  await play(mail, [
    [FRIEND, [EHLO, FROM, far], /^250 2\.1\.5 Ok$/],
    [stranger, [EHLO, FROM, far], /^454 4\.7\.1 <bob@far\.test>: Relay access denied$/],
    [stranger, [EHLO, login('secret')], /^503 5\.5\.1 Error: authentication not enabled$/],
    [
      stranger,
      [...secured, login('wrong'), FROM, far],
      /^454 4\.7\.1 <bob@far\.test>: Relay access denied$/,
    ],
    [stranger, [...secured, login('wrong')], /^535 5\.7\.8 Error: authentication failed: /],
    [stranger, [...secured, login('secret'), FROM, far, ...content('far')], QUEUED],
    [stranger, [...secured, login('secret'), FROM, TO, ...content('near')], QUEUED],
    [
      stranger,
      [...secured, login('secret'), 'MAIL FROM:<eve@client.test>', far],
      /^553 5\.7\.1 <eve@client\.test>: Sender address rejected: not owned by user joe$/,
    ],
    [stranger, [EHLO, FROM, TO, ...content('without a login')], QUEUED],
  ]);
  assert.deepEqual(await delivered(mail, 2), ['near', 'without a login']);
  const [message] = peer.messages;
  assert.equal(peer.messages.length, 1);
  assert.deepEqual(message?.recipients, ['bob@far.test']);
  assert.match(message?.content ?? '', /^\t\(Authenticated sender: joe\)\r$/m);
  assert.match(message?.content ?? '', /^\tby mx\.lab\.test \(Postfix\) with ESMTPSA id /m);
  assert.match(
    mail.log(),
    /: client=unknown\[127\.0\.0\.5\], sasl_method=PLAIN, sasl_username=joe\n/,
  );
  assert.deepEqual(
    troubleIn(mail.log(), /unknown\[127\.0\.0\.5\]: SASL PLAIN authentication failed: /),
    [],
  );
});

test('a null client has nobody here, and sends all mail to its hub', {
  skip: asRoot,
}, async (t) => {
  const hub = await startSmtpPeer(t, {});
  const mail = await start(t, {
    main: {
      myhostname: 'pc.lab.test',
      mydomain: 'lab.test',
      myorigin: '$mydomain',
      relayhost: `[127.0.0.1]:${hub.port}`,
      inet_interfaces: 'loopback-only',
      mydestination: '',
      local_transport: 'error:local delivery is disabled',
      alias_maps: '',
    },
  });
  const byCommand = (to: string, subject: string) =>
    mail.run('sendmail', ['-f', 'ann', to], `Subject: ${subject}\n\nhello\n`);
  assert.equal(byCommand('bob', 'somebody of the domain').status, 0);
  assert.equal(byCommand('bob@far.test', 'somebody else').status, 0);
  assert.equal(byCommand('root@pc.lab.test', 'somebody here').status, 0);
  await play(mail, [
    [FRIEND, [EHLO, 'MAIL FROM:<ann>', 'RCPT TO:<carl>', ...content('by SMTP')], QUEUED],
    // Nobody else gets in, even from this machine.
    [
      '127.0.0.5',
      [EHLO, FROM, 'RCPT TO:<carl@lab.test>'],
      /^454 4\.7\.1 <carl@lab\.test>: Relay access denied$/,
    ],
  ]);
  await mail.waitUntilEmpty();
  const got = hub.messages.map(({ sender, recipients, content: text }) => [
    sender,
    recipients.join(),
    /^Subject: (.*)\r$/m.exec(text)?.[1],
  ]);
  assert.deepEqual(got.sort(), [
    ['ann@lab.test', 'bob@far.test', 'somebody else'],
    ['ann@lab.test', 'bob@lab.test', 'somebody of the domain'],
    ['ann@lab.test', 'carl@lab.test', 'by SMTP'],
    ['ann@lab.test', 'root@pc.lab.test', 'somebody here'],
  ]);
  assert.deepEqual(troubleIn(mail.log()), []);
});
