/**
 * What smtpd tells cleanup of a message: the queue files that Postfix's smtpd and ours have cleanup
 * write, record by record.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { saslWith, startDovecot, whyNoDovecot } from '../../support/dovecot.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { type Step, send } from './dialogue.ts';
import { takeFile } from './queue-records.ts';
import { startServerPairs } from './server-pair.ts';
import { EHLO, FROM, TO } from './steps.ts';

const message = (...content: readonly string[]): readonly Step[] => [
  'DATA',
  send(`${content.join('\r\n')}\r\n.\r\n`),
  'QUIT',
];
/** Chunks, and an empty one that says that they were all. */
const chunks = (...list: readonly string[]): readonly Step[] => [
  ...list.map((text) => send(`BDAT ${text.length}\r\n${text}`)),
  'BDAT 0 LAST',
  'QUIT',
];
const LOGIN = `AUTH PLAIN ${Buffer.from('\0j(oe\0secret').toString('base64')}`;
const PLAIN = message('Subject: test', '', 'hello');

const SESSIONS: Readonly<
  Record<string, readonly Step[] | { from: string; steps: readonly Step[] }>
> = {
  'a plain message': [EHLO, FROM, TO, ...PLAIN],
  'a message by SMTP': ['HELO client.test', FROM, TO, ...PLAIN],
  'a message without HELO': [FROM, TO, ...PLAIN],
  'a message of a stranger': { from: '127.0.0.5', steps: [EHLO, FROM, TO, ...PLAIN] },
  'a bounce': [EHLO, 'MAIL FROM:<>', TO, ...PLAIN],
  'two recipients': [EHLO, FROM, TO, 'RCPT TO:<PostMaster>', ...PLAIN],
  'all parameters of MAIL': [
    EHLO,
    'MAIL FROM:<ann@client.test> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+2Bb AUTH=c+2Bd',
    TO,
    ...PLAIN,
  ],
  'other parameters of MAIL': [EHLO, 'MAIL FROM:<a@client.test> BODY=7BIT RET=FULL', TO, ...PLAIN],
  'all parameters of RCPT': [
    EHLO,
    FROM,
    `${TO} NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob+2Bx@far.test`,
    `${TO} NOTIFY=NEVER`,
    ...PLAIN,
  ],
  'odd addresses': [
    EHLO,
    'MAIL FROM:<"a b"@client.test>',
    'RCPT TO:<@route.test:root@lab.test>',
    'RCPT TO: root@lab.test',
    'RCPT TO:<(c) root@lab.test>',
    'RCPT TO:<"root"@lab.test>',
    'RCPT TO:<root>',
    'RCPT TO:<r\\oot@lab.test>',
    ...PLAIN,
  ],
  Unicode: [
    EHLO,
    'MAIL FROM:<\xc3\xa9@caf\xc3\xa9.test> SMTPUTF8',
    'RCPT TO:<u@caf\xc3\xa9.test>',
    ...PLAIN,
  ],
  VERP: [EHLO, `${FROM} XVERP`, TO, ...PLAIN],
  'VERP with delimiters': [EHLO, `${FROM} XVERP=-=`, TO, ...PLAIN],
  'a strange HELO': ['EHLO a<b>(c)"d\\e;f,g h', FROM, TO, ...PLAIN],
  'content that starts with a separator': [
    EHLO,
    FROM,
    TO,
    ...message('From ann Sat', 'a: b', '', 'c'),
  ],
  'content that starts with a quoted separator': [EHLO, FROM, TO, ...message('>From ann', '', 'c')],
  'content that starts with a blank': [EHLO, FROM, TO, ...message(' a: b', '', 'c')],
  'content that starts with an empty line': [EHLO, FROM, TO, ...message('', 'c')],
  'content with dots': [EHLO, FROM, TO, ...message('a: b', '', '..', '..c', '.d')],
  'content with long lines': [
    EHLO,
    FROM,
    TO,
    ...message(`a: ${'b'.repeat(3000)}`, '', 'c'.repeat(2047), 'd'.repeat(2048), 'e'.repeat(9000)),
  ],
  'content with odd bytes': [
    EHLO,
    FROM,
    TO,
    ...message('a: b', '', '\0\xff\xe9\r', 'x\ry', '\t', ''),
  ],
  'content with bare line feeds': [EHLO, FROM, TO, ...message('a: b\n\nc\nd\r\n\ne')],
  'chunks with odd bytes': [
    EHLO,
    FROM,
    TO,
    ...chunks('From ann\r', '\na', ': b\n', '\r\n\0\xff\xe9\r', '\r\nx\ry\r\n.\r\n..x\r\n\r'),
  ],
  'chunks with long lines': [
    EHLO,
    FROM,
    TO,
    ...chunks(
      'x'.repeat(2048),
      '\r\n',
      'x'.repeat(2047),
      `\n${'x'.repeat(2048)}\r`,
      `\n${'x'.repeat(9000)}`,
      ` y\r\n${'x'.repeat(2048)}`,
    ),
  ],
  'a chunk that starts with a blank': [EHLO, FROM, TO, ...chunks(' a: b\r\n\r\nc')],
  'chunks without content': [EHLO, FROM, TO, ...chunks()],
  ...Object.fromEntries(
    [
      'XCLIENT NAME=spike.test ADDR=192.0.2.1 PORT=9 HELO=h.test PROTO=ESMTP LOGIN=ann',
      'XCLIENT REVERSE_NAME=rev.test DESTADDR=192.0.2.2 DESTPORT=26',
      'XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] DESTPORT=[UNAVAILABLE]',
      'XCLIENT DESTADDR=[UNAVAILABLE] HELO=[UNAVAILABLE] LOGIN=a+20b',
      'XCLIENT NAME=[TEMPUNAVAIL]',
      'XFORWARD NAME=spike.test ADDR=192.0.2.1 PORT=9 HELO=h.test PROTO=QMQP IDENT=A SOURCE=REMOTE',
      'XFORWARD NAME=spike.test',
      'XFORWARD PROTO=SMTP',
      'XFORWARD IDENT=ABC',
      'XFORWARD IDENT=[UNAVAILABLE] SOURCE=[UNAVAILABLE]',
      'XFORWARD SOURCE=REMOTE',
      'XFORWARD SOURCE=LOCAL',
      'XFORWARD HELO=[UNAVAILABLE] PROTO=[UNAVAILABLE] ADDR=[UNAVAILABLE]',
    ].map((command) => [command, [EHLO, command, FROM, TO, ...PLAIN]]),
  ),
  'a client that has logged in': [EHLO, LOGIN, FROM, TO, ...PLAIN],
  'a client that names whom it had the message from': [
    ...[EHLO, LOGIN, `${FROM} AUTH=a+3Db`, TO, 'RCPT TO:<root@mx.lab.test>'],
    ...PLAIN,
  ],
  'actions of an access table for a sender': [EHLO, 'MAIL FROM:<marked@client.test>', TO, ...PLAIN],
  'the same for two recipients': [
    EHLO,
    'MAIL FROM:<marked@client.test>',
    TO,
    'RCPT TO:<root@mx.lab.test>',
    ...PLAIN,
  ],
  'another recipient by an access table': [EHLO, FROM, 'RCPT TO:<turned@lab.test>', ...PLAIN],
  'the last of two filters': [
    EHLO,
    'MAIL FROM:<marked@client.test>',
    'RCPT TO:<filtered@lab.test>',
    ...PLAIN,
  ],
  'no content': [EHLO, FROM, TO, 'DATA', send('.\r\n'), 'QUIT'],
};

test('smtpd tells cleanup the same as Postfix', { skip: whyNoPostfix() }, async (t) => {
  const setting = {
    smtpd_authorized_verp_clients: '127.0.0.1',
    smtpd_sasl_authenticated_header: 'yes',
    local_header_rewrite_clients: 'permit_sasl_authenticated',
    smtpd_authorized_xclient_hosts: '127.0.0.1',
    smtpd_authorized_xforward_hosts: '127.0.0.1',
    local_recipient_maps: '',
    smtpd_sender_restrictions:
      'check_sender_access inline:{{marked@client.test = FILTER discard:here}}, ' +
      'check_sender_access inline:{{marked@client.test = PREPEND X-Marked: yes}}',
    smtpd_recipient_restrictions:
      'check_recipient_access inline:{{turned@lab.test = REDIRECT root@lab.test}, ' +
      '{filtered@lab.test = FILTER discard:there}}',
  };
  const noDovecot = whyNoDovecot();
  const sasl = noDovecot ? {} : saslWith(await startDovecot(t, { 'j(oe': 'secret' }));
  const pairSetting = { ...setting, ...sasl };
  const { pair } = await startServerPairs(t, { pair: pairSetting }, { keepsMail: true });
  for (const [name, given] of Object.entries(SESSIONS)) {
    await t.test(name, { skip: /AUTH/.test(JSON.stringify(given)) && noDovecot }, async () => {
      const { steps, ...options } = 'steps' in given ? given : { steps: given };
      const files = { ours: [''], real: [''] };
      for (const maker of ['ours', 'real'] as const) {
        const replies = await pair.talk(maker, steps, options);
        const id = /queued as (\w+)/.exec(replies.join('\n'))?.[1];
        assert.ok(id, replies.join('\n'));
        files[maker] = await takeFile(pair.mail, id);
      }
      assert.deepEqual(files.ours, files.real);
    });
  }
});
