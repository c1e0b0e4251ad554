/** Sessions with milters: what a client says, and what its milters do about it. */
import { edit, type MilterScript } from '../../support/milter-peer.ts';
import { type Step, send } from './dialogue.ts';
import type { Scenario } from './milter-servers.ts';

const MESSAGE = [
  'From: ann@client.test',
  'Subject: folded',
  '\tline  ',
  'X-Twice: one',
  'X-Twice:two',
  'X-Tab:\tx',
  'Message-Id: <m@client.test>',
  'Date: Thu, 1 Jan 2026 00:00:00 +0000',
  '',
  'Hello',
  '',
  'world',
].join('\r\n');

const content = (text = MESSAGE): Step => send(`${text}\r\n.\r\n`);

/** A session with one message. */
export const usual = (recipients = ['bob@lab.test'], text?: string): Step[] => [
  'EHLO client.test',
  'MAIL FROM:<ann@client.test> SIZE=100',
  ...recipients.map((address) => `RCPT TO:<${address}>`),
  'DATA',
  content(text),
  'QUIT',
];

/** One milter that does this at one event. */
const at = (event: string, ...replies: string[]): readonly MilterScript[] => [
  { on: { [event]: replies } },
];

/** Edits at the end of the message. */
const edits = (...replies: string[]): Scenario => ({
  milters: at('E', ...replies, 'c'),
  steps: usual(['bob@lab.test', 'many@lab.test']),
});

const ANSWERS = {
  accept: 'a',
  reject: 'r',
  tempfail: 't',
  discard: 'd',
  shutdown: '4',
  'a reply': 'y550 5.7.9 go%% away\0',
  'lines of a reply': 'y451-4.7.9 one\r\n451 4.7.9 two\0',
  'reply 421': 'y421 4.7.9 bye\0',
  nonsense: 'z',
  'a bad reply': 'y250 2.0.0 fine\0',
  skip: 's',
} as const;

type What = keyof typeof ANSWERS;
const ALL = Object.keys(ANSWERS) as What[];

/** What is answered at which event; a shutdown at the end is another matter: see the test. */
const STAGES: Readonly<Record<string, readonly [event: string, what: readonly What[]]>> = {
  CONNECT: ['C', ALL],
  HELO: ['H', ['accept', 'reject', 'tempfail', 'discard', 'shutdown', 'reply 421']],
  MAIL: ['M', ['accept', 'reject', 'discard', 'shutdown', 'skip']],
  RCPT: ['R', ALL],
  DATA: ['T', ['accept', 'tempfail', 'discard', 'shutdown', 'a bad reply']],
  headers: ['L', ['accept', 'reject', 'discard', 'lines of a reply', 'nonsense', 'skip']],
  'end of headers': ['N', ['accept', 'tempfail', 'a bad reply']],
  body: ['B', ['accept', 'discard', 'skip']],
  'end of message': ['E', ALL.filter((what) => what !== 'shutdown')],
};

/** Goes on whatever the answers are. */
const persistent: Step[] = [
  'EHLO client.test',
  'NOOP',
  'VRFY bob@lab.test',
  'MAIL FROM:<ann@client.test> BODY=8BITMIME',
  'RCPT TO:<bob@lab.test>',
  'RCPT TO:<carl@lab.test>',
  'DATA',
  content(),
  'NOPE',
  'ETRN lab.test',
  'STARTTLS',
  'HELO again.test',
  'QUIT',
];

const answers: Record<string, Scenario> = {};
for (const [stage, [event, whats]] of Object.entries(STAGES)) {
  for (const what of whats) {
    answers[`${what} at ${stage}`] = { milters: at(event, ANSWERS[what]), steps: persistent };
  }
}

/** Protocol steps that a milter may ask for. */
const STEP = {
  noConnect: 1,
  noHelo: 2,
  noMail: 4,
  noRcpt: 8,
  noBody: 16,
  noHeaders: 32,
  noEoh: 64,
  noHeaderReply: 1 << 7,
  noUnknown: 1 << 8,
  noData: 1 << 9,
  skip: 1 << 10,
  rejectedRecipients: 1 << 11,
  noReplies: (0xff << 12) | (1 << 7),
  leadingSpace: 1 << 20,
};

const refusals: Step[] = [
  'EHLO client.test',
  'MAIL FROM:<ann@client.test>',
  'RCPT TO:<bob@elsewhere.test>',
  'RCPT TO:<bad @syntax',
  'RCPT TO:<bad@lab.test>',
  'RCPT TO:<worse@lab.test>',
  'RCPT TO:<bob@lab.test>',
  'RCPT TO:<bob@elsewhere.test>',
  'DATA',
  content(),
  'QUIT',
];

const negotiated = (options: MilterScript['options'], steps = usual()): Scenario => ({
  milters: [{ options }],
  steps,
});

const negotiations: Record<string, Scenario> = {
  'version 2': { milters: [{}], settings: ['protocol=2'], steps: persistent },
  'version 4': { milters: [{}], settings: ['protocol=4'], steps: persistent },
  'version 5': { milters: [{}], settings: ['protocol=5'], steps: usual() },
  'an older milter': negotiated({ version: 2, actions: 0x3f, steps: 0 }, persistent),
  'a newer milter': negotiated({ version: 7 }),
  'version 1': negotiated({ version: 1 }),
  'actions not offered': negotiated({ actions: 0xffff }),
  'steps not offered': negotiated({ steps: 1 << 25 }),
  'no events': negotiated({ steps: 0x37f }, persistent),
  'no replies': negotiated({ steps: STEP.noReplies }, persistent),
  'leading space': negotiated({ steps: STEP.leadingSpace }),
  'rejected recipients': negotiated({ steps: STEP.rejectedRecipients }, refusals),
  'no rejected recipients': negotiated({}, refusals),
  'default macros': negotiated({
    actions: 0x1ff,
    macros: { 0: 'x y {client_zone} z', 4: '{x}', 5: '{y} client_zone i' },
  }),
  'another client': {
    milters: [
      {
        options: {
          actions: 0x1ff,
          macros: {
            0: '_ {client_addr} {client_name} {client_ptr} {client_resolve} {client_port} {daemon_addr} {daemon_port} {auth_type} {auth_authen}',
            2: '{auth_type} {auth_authen} {auth_author}',
            5: '_ {client_addr} {auth_type} {auth_authen} {daemon_addr}',
          },
        },
      },
    ],
    client: '192.0.2.77',
    steps: [
      'EHLO proxy.test',
      'XCLIENT NAME=c.test ADDR=192.0.2.77 PORT=1234 REVERSE_NAME=r.test HELO=h.test',
      ...usual().slice(0, -1),
      'XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] REVERSE_NAME=[TEMPUNAVAIL]',
      'QUIT',
    ],
  },
  'EHLO in a message': {
    milters: [{}],
    steps: [
      'EHLO a.test',
      'MAIL FROM:<a@b.test>',
      'RCPT TO:<bob@lab.test>',
      'EHLO b.test',
      'MAIL FROM:<a@b.test>',
      'HELO c.test',
      'QUIT',
    ],
  },
  chunks: {
    milters: [{ on: { E: [edit.addHeader('X-A', 'a'), 'c'] } }],
    steps: [
      'EHLO a.test',
      'MAIL FROM:<a@b.test>',
      'RCPT TO:<bob@lab.test>',
      send('BDAT 14\r\nSubject: x\r\n\r\n'),
      send('BDAT 4 LAST\r\nhi\r\n'),
      'QUIT',
    ],
  },
  'chunks refused': {
    milters: at('T', 'r'),
    steps: [
      'EHLO a.test',
      'MAIL FROM:<a@b.test>',
      'RCPT TO:<bob@lab.test>',
      send('BDAT 14\r\nSubject: x\r\n\r\n'),
      send('BDAT 4 LAST\r\nhi\r\n'),
      'QUIT',
    ],
  },
  'held and refused at the end': {
    milters: [{ on: { E: [edit.quarantine('x'), 'c'] } }, { on: { E: ['r'] } }],
    steps: usual(),
  },
  'own macros': negotiated(
    {
      actions: 0x1ff,
      macros: {
        0: 'j {client_addr} {client_name} {client_port} {client_ptr} {client_resolve} {client_connections} {daemon_addr} {daemon_name} {daemon_port} {server_addr} {nosuch} v _ {if_name}',
        1: '{tls_version}, {cipher} {client_addr}',
        2: 'i {mail_addr}',
        3: 'i {rcpt_addr} {mail_addr}',
        4: 'i {mail_addr} {rcpt_addr}',
        5: 'i {mail_addr} {rcpt_addr} j v _ {client_addr} {client_name} {client_port} {client_ptr} {daemon_name} {daemon_addr} {mail_host} {auth_type} {daemon_port}',
        6: 'i b',
      },
    },
    persistent,
  ),
  'an empty list of macros': negotiated({ actions: 0x1ff, macros: { 3: '', 4: 'j' } }),
  'macros not offered': negotiated({ actions: 0xff, macros: { 0: 'j' } }),
  'a macro stage of its own': negotiated({ actions: 0x1ff, macros: { 9: 'j' } }),
  'no answer to the offer': {
    milters: at('O'),
    steps: usual(),
    settings: ['connect_timeout=1s,command_timeout=1s'],
  },
  'hangs up on the offer': { milters: [{ on: { O: 'drop' } }], steps: usual() },
  'an odd answer to the offer': { milters: at('O', 'c'), steps: usual() },
};

const changes: Record<string, Scenario> = {
  'add headers': edits(
    edit.addHeader('X-One', '1'),
    edit.addHeader('X-Two', 'a\n\tb'),
    edit.addHeader('X-Long', 'y'.repeat(3000)),
  ),
  'insert headers': edits(
    edit.insertHeader(0, 'X-Zero', '0'),
    edit.insertHeader(1, 'X-First', '1'),
    edit.insertHeader(1, 'X-Again', '1'),
    edit.insertHeader(3, 'X-Third', 'a\n b'),
    edit.insertHeader(99, 'X-Last', 'l'),
  ),
  'change headers': edits(
    edit.changeHeader(1, 'Subject', 'new'),
    edit.changeHeader(2, 'x-twice', 'changed'),
    edit.changeHeader(1, 'X-New', 'made'),
    edit.changeHeader(0, 'From', 'zoe@client.test'),
    edit.changeHeader(1, 'Received', 'x'),
    edit.changeHeader(5, 'X-Twice', 'five'),
  ),
  'delete headers': edits(
    edit.changeHeader(1, 'Subject', ''),
    edit.changeHeader(2, 'X-Twice', ''),
    edit.changeHeader(1, 'X-None', ''),
    edit.changeHeader(1, 'Received', ''),
    edit.changeHeader(1, 'From', ''),
  ),
  'change what was changed': edits(
    edit.changeHeader(1, 'Subject', 's'),
    edit.changeHeader(1, 'Subject', 'second'),
    edit.changeHeader(1, 'Subject', ''),
    edit.addHeader('X-A', 'a'),
    edit.changeHeader(1, 'X-A', 'aa'),
    edit.changeHeader(1, 'X-A', ''),
    edit.insertHeader(1, 'X-B', 'b'),
    edit.changeHeader(1, 'X-B', 'bb'),
    edit.addHeader('X-C', 'c'),
    edit.insertHeader(2, 'X-D', 'd'),
    edit.changeHeader(1, 'X-B', ''),
  ),
  'bad headers': edits(edit.changeHeader(1, '', 'x')),
  'bad index': edits(edit.changeHeader(-1 >>> 0, 'Subject', 'x')),
  'bad insert index': edits(edit.insertHeader(-2 >>> 0, 'Subject', 'x')),
  recipients: edits(
    edit.addRecipient('<eve@lab.test>'),
    edit.addRecipient('many@lab.test'),
    edit.deleteRecipient('<bob@lab.test>'),
    edit.addRecipientWith('<fay@lab.test>', 'NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Fay+40lab.test'),
    edit.addRecipientWith('<gus@lab.test>', 'NOTIFY=WHAT X=1'),
    edit.addRecipient('<"h i"@lab.test>'),
  ),
  'delete expanded': edits(
    edit.deleteRecipient('<many@lab.test>'),
    edit.deleteRecipient('<none@lab.test>'),
  ),
  'delete all': edits(
    edit.deleteRecipient('<many@lab.test>'),
    edit.deleteRecipient('<bob@lab.test>'),
  ),
  'delete what was added': edits(
    edit.addRecipient('<eve@lab.test>'),
    edit.addRecipient('<fay@lab.test>'),
    edit.deleteRecipient('eve@lab.test'),
    edit.addRecipient('<eve@lab.test>'),
    edit.addRecipient('<bob@lab.test>'),
  ),
  'several addresses': edits(
    edit.addRecipient('<eve@lab.test>, <fay@lab.test>'),
    edit.deleteRecipient('bob@lab.test, x@lab.test'),
    edit.addRecipient(''),
    edit.addRecipient('<>'),
  ),
  'change sender': edits(edit.changeSender('<zoe@client.test>')),
  'change sender twice': edits(
    edit.changeSender('<z@y.test>'),
    edit.changeSender('<zoe-with-a-long-name@client.test>', 'RET=FULL ENVID=QQ+2B1'),
    edit.changeSender('<>'),
    edit.changeSender('a@b.test, c@d.test', 'X=1 RET=WHAT'),
  ),
  'replace body': edits(edit.replaceBody('short\r\n')),
  'replace body with more': edits(
    edit.replaceBody('a longer body\r\nthan before, '),
    edit.replaceBody('in two pieces\r\nand no end of '),
    edit.replaceBody('line'),
  ),
  'replace body with much': edits(
    edit.replaceBody('0123456789'.repeat(500) + '\r\n'),
    edit.addHeader('X-Between', '1'),
    edit.replaceBody('more\n\nlines\r\n\r\n.\r\n'),
  ),
  'replace body with nothing': edits(edit.replaceBody('')),
  quarantine: edits(edit.quarantine('I say so')),
  'quarantine and reject': { milters: at('E', edit.quarantine('no'), 'r'), steps: usual() },
  progress: { milters: at('E', 'p', 'p', edit.addHeader('X-P', 'p'), 'p', 'c'), steps: usual() },
  'edits too early': { milters: at('N', edit.addHeader('X', 'y'), 'c'), steps: usual() },
  everything: edits(
    edit.changeSender('<zoe@client.test>'),
    edit.addRecipient('<eve@lab.test>'),
    edit.deleteRecipient('<bob@lab.test>'),
    edit.addHeader('X-A', 'a'),
    edit.insertHeader(0, 'X-I', 'i'),
    edit.changeHeader(1, 'Subject', 'c'),
    edit.changeHeader(1, 'X-Tab', ''),
    edit.replaceBody('new\r\n'),
  ),
  'edits and reject': { milters: at('E', edit.addHeader('X-A', 'a'), 'r'), steps: usual() },
  'header without value': { milters: at('E', 'hX-A\0', 'c'), steps: usual() },
  'no headers at all': { milters: [{}], steps: usual(undefined, '\r\nonly a body') },
  'few headers': {
    milters: at('E', edit.changeHeader(1, 'Date', 'now'), 'c'),
    steps: usual(undefined, 'Subject: x\r\n\r\ntext'),
  },
  'no body': { milters: [{}], steps: usual(undefined, 'Subject: x') },
  'no body replaced': {
    milters: at('E', edit.replaceBody('b\r\n'), 'c'),
    steps: usual(undefined, 'Subject: x'),
  },
  'a large body': {
    milters: [{}],
    steps: usual(
      undefined,
      `Subject: x\r\n\r\n${'0123456789abcdef\r\n'.repeat(10_000)}${'x'.repeat(5000)}`,
    ),
  },
  'null sender': {
    milters: [{}],
    steps: ['EHLO c.test', 'MAIL FROM:<>', 'RCPT TO:<bob@lab.test>', 'DATA', content(), 'QUIT'],
  },
  mime: {
    milters: [{}],
    steps: usual(
      undefined,
      'Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\npart\r\n--b--',
    ),
  },
  'macros of headers': negotiated({ actions: 0x1ff, macros: { 4: 'j', 5: 'v', 6: '_' } }),
  'no headers wanted': negotiated({ steps: STEP.noHeaders }),
  'no end of headers wanted': negotiated({ steps: STEP.noEoh }),
  'no body wanted': negotiated({ steps: STEP.noBody }),
};

const several: Record<string, Scenario> = {
  'second rejects': { milters: [{}, { on: { R: ['r'] } }, {}], steps: persistent },
  'first accepts message': { milters: [{ on: { M: ['a'] } }, {}], steps: persistent },
  'first accepts connection': { milters: [{ on: { C: ['a'] } }, {}], steps: persistent },
  'edits of both': {
    milters: [
      {
        on: {
          E: [
            edit.addHeader('X-First', '1'),
            edit.changeHeader(1, 'Subject', 'first'),
            edit.replaceBody('first\r\n'),
            'c',
          ],
        },
      },
      {
        on: {
          E: [
            edit.addHeader('X-Second', '2'),
            edit.changeHeader(1, 'X-First', 'one'),
            edit.replaceBody('second\r\n'),
            'c',
          ],
        },
      },
    ],
    steps: usual(),
  },
  'first rejects at the end': { milters: [{ on: { E: ['r'] } }, {}], steps: usual() },
  'first discards': { milters: [{ on: { E: ['d'] } }, {}], steps: usual() },
  disabled: { milters: [], steps: usual() },
};

const hangUp = (event: string, settings?: string): Scenario => ({
  milters: [{ on: { [event]: 'drop' } }],
  steps: usual(),
  ...(settings ? { settings: [settings] } : {}),
});

const troubles: Record<string, Scenario> = {
  'hangs up at connect': hangUp('C'),
  'hangs up at mail': hangUp('M'),
  'hangs up at headers': hangUp('L'),
  'hangs up at end': hangUp('E'),
  'hangs up at mail, accept': hangUp('M', 'default_action=accept'),
  'hangs up at mail, reject': hangUp('M', 'default_action=reject'),
  'hangs up at mail, quarantine': hangUp('M', 'default_action=quarantine'),
  'hangs up at end, accept': hangUp('E', 'default_action=accept'),
  'hangs up at end, reject': hangUp('E', 'default_action=reject'),
  'hangs up at end, quarantine': hangUp('E', 'default_action=quarantine'),
  'bad reply, reject': {
    milters: at('R', 'y999\0'),
    steps: usual(),
    settings: ['default_action=reject'],
  },
  'bad reply, accept': {
    milters: at('R', 'y999\0'),
    steps: usual(),
    settings: ['default_action=accept'],
  },
  'hangs at rcpt': {
    milters: [{ on: { R: 'silent' } }],
    steps: usual(),
    settings: ['command_timeout=1s'],
  },
  'hangs at end': {
    milters: [{ on: { E: 'silent' } }],
    steps: usual(),
    settings: ['content_timeout=1s'],
  },
  'odd default action': {
    milters: [{ on: { R: 'drop' } }],
    steps: usual(),
    settings: ['default_action=what'],
  },
  'two messages after trouble': {
    milters: [{ on: { E: 'drop' } }],
    steps: [
      'EHLO a.test',
      'MAIL FROM:<a@b.test>',
      'RCPT TO:<bob@lab.test>',
      'DATA',
      content(),
      'MAIL FROM:<a@b.test>',
      'RCPT TO:<bob@lab.test>',
      'QUIT',
    ],
  },
};

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'two messages and odd commands': {
    milters: [{}],
    steps: [
      'EHLO client.test',
      'MAIL FROM:<ann@client.test>',
      'RCPT TO:<bob@lab.test>',
      'RCPT TO:<carl@lab.test>',
      'RSET',
      'NOPE what',
      'EHLO again.test',
      'MAIL FROM:<> BODY=8BITMIME SIZE=12',
      'RCPT TO:<bob+x@lab.test> NOTIFY=NEVER',
      'RCPT TO:<"a b"@lab.test>',
      'DATA',
      content(),
      'HELO third.test',
      'VRFY bob@lab.test',
      'MAIL FROM: ann@client.test',
      'RCPT TO: bob@lab.test',
      'QUIT',
    ],
  },
  ...answers,
  ...negotiations,
  ...changes,
  ...several,
  ...troubles,
};

/** Those that are also played with Postfix's smtpd before our cleanup, and the other way round. */
export const CROSSED: ReadonlySet<string> = new Set([
  'two messages and odd commands',
  'version 2',
  'own macros',
  'default macros',
  'everything',
  'recipients',
  'change what was changed',
  'replace body with more',
  'edits of both',
  'first accepts message',
  'first rejects at the end',
  'hangs up at end',
  'two messages after trouble',
  'chunks',
]);

/** For servers that refuse a client, or its sender, at once. */
export const EARLY_SCENARIOS: Readonly<Record<string, Scenario>> = {
  'headers that are added': {
    milters: [{}],
    steps: usual(undefined, 'Subject: x\r\nTo: bob\r\n\r\ntext'),
  },
  'HELO and MAIL that are refused': {
    milters: [{}],
    steps: [
      'EHLO bad.test',
      'HELO bad.test',
      'EHLO good.test',
      'MAIL FROM:<bad@lab.test>',
      'MAIL FROM:<ann@lab.test>',
      'RCPT TO:<bad@lab.test>',
      'RCPT TO:<bob@lab.test>',
      'RSET',
      'QUIT',
    ],
  },
  'rejected at CONNECT': { milters: at('C', 'r'), steps: persistent },
  'rejected at HELO': { milters: at('H', 'y550 5.7.9 no\0'), steps: persistent },
  'rejected at MAIL': { milters: at('M', 'r'), steps: persistent },
  'rejected at the end': { milters: at('E', 'y550-5.7.9 no\r\n550 5.7.9 no\0'), steps: usual() },
  'no more than a body': {
    milters: at('E', edit.changeHeader(1, 'From', 'new'), 'c'),
    steps: usual(undefined, '\r\ntext'),
  },
};
