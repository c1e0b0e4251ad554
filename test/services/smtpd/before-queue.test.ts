/**
 * Before-queue content filters: Postfix's smtpd and ours say the same to the client, to the filter and
 * in the log. SMTPD_PROXY_README.
 */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { freshDirectory } from '../../support/directories.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { type PeerScript, type SmtpPeer, startSmtpPeer } from '../../support/smtp-peer.ts';
import { type Step, send } from './dialogue.ts';
import { type Parameters, startServerPairs } from './server-pair.ts';
import { EHLO, FROM, TO } from './steps.ts';

const content = (text = 'Subject: test\r\n\r\nhello\r\n.leading dot\r\n') =>
  send(`${text.replace(/^\./gm, '..')}.\r\n`);
const SEND: readonly Step[] = [EHLO, FROM, TO, 'DATA', content(), 'QUIT'];
const XFORWARD = 'XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE';

interface Scene {
  readonly main?: Parameters;
  readonly filter?: PeerScript;
  readonly sessions: Readonly<Record<string, readonly Step[]>>;
}

const SCENES: Readonly<Record<string, Scene>> = {
  polite: {
    filter: { extensions: ['8BITMIME', XFORWARD, 'SIZE'] },
    sessions: {
      'a message': SEND,
      'parameters of MAIL and RCPT go on as they are': [
        EHLO,
        'mail from:<ann@client.test> SIZE=100 body=8BITMIME',
        'Rcpt To:<root@lab.test> NOTIFY=NEVER',
        'DATA',
        content('a: b\r\n\r\n'),
        'QUIT',
      ],
      'two messages': [...SEND.slice(0, -1), ...SEND.slice(1)],
      'a message that is given up': [EHLO, FROM, TO, 'RSET', FROM, TO, TO, 'QUIT'],
      'no recipient': [EHLO, FROM, 'DATA', 'QUIT'],
      'a recipient of nobody': [EHLO, FROM, 'RCPT TO:<ann@far.test>', TO, 'QUIT'],
      'an empty message': [EHLO, FROM, TO, 'DATA', send('.\r\n'), 'QUIT'],
      'long lines': [EHLO, FROM, TO, 'DATA', content(`${'x'.repeat(5000)}\r\n`), 'QUIT'],
      'a message without an end': [EHLO, FROM, TO, 'DATA', send('a: b\r\n', 0), 'half-close'],
      'helo without esmtp': ['HELO client.test', FROM, TO, 'DATA', content(), 'QUIT'],
      chunks: [
        EHLO,
        FROM,
        TO,
        send('BDAT 7\r\na: b\r\n\r'),
        send('BDAT 6 LAST\r\n\nxyz\r\n'),
        'QUIT',
      ],
      'a sender again': [EHLO, FROM, TO, FROM, 'QUIT'],
    },
  },
  plain: {
    filter: { extensions: [] },
    sessions: { 'a filter without XFORWARD': SEND },
  },
  strict: {
    filter: {
      RCPT: (argument) =>
        argument.includes('<root+') ? '550-5.7.1 not\n550 5.7.1 you' : '250 2.1.5 fine',
      END_OF_DATA: '554-5.7.1 a virus\n554 5.7.1 in it',
    },
    sessions: {
      'a recipient is refused': [EHLO, FROM, 'RCPT TO:<root+x@lab.test>', TO, 'QUIT'],
      'content is refused': SEND,
    },
  },
  'refuses mail': {
    filter: { MAIL: '451 4.3.0 not now' },
    sessions: { 'a sender is refused': [EHLO, FROM, TO, TO, FROM, 'QUIT'] },
  },
  'refuses data': {
    filter: { DATA: '452 4.3.1 no room' },
    sessions: { 'DATA is refused': SEND },
  },
  'refuses ehlo': {
    filter: { EHLO: '502 5.5.1 what?' },
    sessions: { 'EHLO is refused': SEND },
  },
  'refuses xforward': {
    filter: { extensions: [XFORWARD], XFORWARD: '550 5.7.0 no' },
    sessions: { 'XFORWARD is refused': SEND },
  },
  'greets badly': {
    filter: { CONNECT: '554 5.3.2 go away' },
    sessions: { 'the greeting refuses': SEND },
  },
  garbage: {
    main: { smtpd_proxy_timeout: '1s' },
    filter: { CONNECT: 'hello there' },
    sessions: { 'the greeting is none': SEND },
  },
  'drops at mail': {
    filter: { MAIL: 'drop' },
    sessions: { 'the filter closes at MAIL': SEND },
  },
  'drops at rcpt': {
    filter: { RCPT: 'drop' },
    sessions: { 'the filter closes at RCPT': [...SEND.slice(0, 3), TO, 'QUIT'] },
  },
  'drops at end': {
    filter: { END_OF_DATA: 'drop' },
    sessions: { 'the filter closes at the end': [...SEND.slice(0, -1), FROM, 'QUIT'] },
  },
  silent: {
    main: { smtpd_proxy_timeout: '3s' },
    filter: { END_OF_DATA: 'silent' },
    sessions: { 'the filter says nothing at the end': SEND },
  },
  'silent greeting': {
    main: { smtpd_proxy_timeout: '1s' },
    filter: { CONNECT: 'silent' },
    sessions: { 'the filter says nothing at all': SEND },
  },
  gone: {
    main: { smtpd_proxy_filter: 'unix:private/no-such-filter' },
    sessions: { 'there is no filter': [...SEND.slice(0, 3), TO, 'QUIT'] },
  },
  refused: {
    main: { smtpd_proxy_filter: '127.0.0.1:9' },
    sessions: { 'nobody listens there': SEND },
  },
  early: {
    main: { smtpd_delay_open_until_valid_rcpt: 'no', smtpd_proxy_ehlo: 'me.test' },
    filter: { extensions: [XFORWARD] },
    sessions: { 'the filter is there from MAIL on': SEND },
  },
  adjust: {
    main: { smtpd_proxy_options: 'speed_adjust' },
    filter: { extensions: [XFORWARD], RCPT: ['250 2.1.5 a', '250 2.1.5 b'] },
    sessions: {
      'a message': SEND,
      'two recipients': [EHLO, FROM, TO, TO, 'DATA', content(), 'QUIT'],
      'a message that is given up': [EHLO, FROM, TO, 'RSET', 'QUIT'],
    },
  },
  'adjust strict': {
    main: { smtpd_proxy_options: 'speed_adjust' },
    filter: { RCPT: '550 5.1.1 nobody' },
    sessions: { 'all recipients are refused': SEND },
  },
  'adjust without room': {
    main: { smtpd_proxy_options: 'speed_adjust', message_size_limit: '100000000000000' },
    sessions: { 'a message': [EHLO, FROM, 'QUIT'] },
  },
  'adjust gone': {
    main: { smtpd_proxy_options: 'speed_adjust', smtpd_proxy_filter: 'unix:private/nobody' },
    sessions: { 'there is no filter': SEND },
  },
  IPv6: {
    main: {
      inet_protocols: 'all',
      smtpd_authorized_xclient_hosts: '127.0.0.0/8',
      smtpd_authorized_xforward_hosts: '127.0.0.0/8 [2001:db8::]/32',
    },
    filter: { extensions: [XFORWARD] },
    sessions: {
      'a client of IPv6': [EHLO, 'XCLIENT ADDR=IPV6:2001:db8::7', ...SEND],
      'whose client has IPv6': [EHLO, 'XFORWARD ADDR=IPV6:2001:db8::9', ...SEND.slice(1)],
    },
  },
  limits: {
    main: {
      message_size_limit: '2000',
      smtpd_data_restrictions: 'check_sender_access inline:{{data@client.test=REJECT}}',
      smtpd_end_of_data_restrictions: 'check_sender_access inline:{{end@client.test=REJECT}}',
      smtpd_recipient_restrictions:
        'check_recipient_access inline:{{hold@lab.test=HOLD} {filter@lab.test=FILTER smtp:x} {prepend@lab.test=PREPEND X-A: b} {discard@lab.test=DISCARD} {redirect@lab.test=REDIRECT a@b.test} {bcc@lab.test=BCC a@b.test}}',
      local_recipient_maps: '',
      smtpd_authorized_xforward_hosts: '127.0.0.0/8',
    },
    filter: { extensions: [XFORWARD] },
    sessions: {
      'too big a message': [
        EHLO,
        FROM,
        TO,
        'DATA',
        content(`${`${'x'.repeat(98)}\r\n`.repeat(30)}`),
        'QUIT',
      ],
      'refused at DATA': [EHLO, 'MAIL FROM:<data@client.test>', TO, 'DATA', 'QUIT'],
      'refused at the end': [EHLO, 'MAIL FROM:<end@client.test>', TO, 'DATA', content(), 'QUIT'],
      ...Object.fromEntries(
        ['hold', 'filter', 'prepend', 'discard', 'redirect', 'bcc'].map((action) => [
          `action ${action}`,
          [EHLO, FROM, `RCPT TO:<${action}@lab.test>`, 'DATA', content(), 'QUIT'],
        ]),
      ),
      'a client of a client': [
        EHLO,
        'XFORWARD NAME=far.test ADDR=192.0.2.9 PORT=99 PROTO=ESMTP HELO=far.test IDENT=ABC SOURCE=REMOTE',
        ...SEND.slice(1),
      ],
    },
  },
};

test('before-queue filters', { skip: whyNoPostfix(), concurrency: 4 }, async (t) => {
  const directory = freshDirectory(t);
  chmodSync(directory, 0o755);
  const peers = new Map<string, SmtpPeer>();
  const parameters: Record<string, Parameters> = {};
  const nameOf = (scene: string) => scene.replaceAll(' ', '-');
  for (const [scene, { main, filter }] of Object.entries(SCENES)) {
    for (const maker of ['ours', 'real']) {
      const path = join(directory, `${maker}-${nameOf(scene)}`);
      if (filter === undefined) continue;
      peers.set(`${maker} ${scene}`, await startSmtpPeer(t, { ...filter, path }));
      chmodSync(path, 0o777);
    }
    parameters[nameOf(scene)] = {
      smtpd_proxy_filter: `unix:${directory}/$syslog_name`,
      ...main,
    };
  }
  const pairs = await startServerPairs(t, parameters);
  const neutral = (text: string) =>
    text
      .replaceAll(/\b(?:ours|real)-/g, 'MAKER-')
      .replaceAll(/port \d+|PORT=\d+/g, 'PORT')
      .replaceAll(/\w{3}, +\d+ \w{3} \d{4} [\d:]+ [-+]\d{4} \(\w+\)/g, 'DATE')
      .replaceAll(/127\.\d+\.\d+\.\d+:2525/g, 'HOST');
  const tests = Object.entries(SCENES).map(([scene, { sessions }]) =>
    t.test(scene, async (group) => {
      const pair = pairs[nameOf(scene)];
      assert(pair);
      for (const [name, steps] of Object.entries(sessions)) {
        await group.test(`${scene}: ${name}`, async () => {
          const before = { ours: 0, real: 0 };
          const peerOf = (maker: 'ours' | 'real') => peers.get(`${maker} ${scene}`);
          for (const maker of ['ours', 'real'] as const) {
            before[maker] = peerOf(maker)?.sessions.length ?? 0;
          }
          const said = await pair.converse(steps);
          for (const maker of ['ours', 'real'] as const) {
            // What it was told last is behind the log line that we have seen.
            await peerOf(maker)?.waitFor(() => peerOf(maker)?.isIdle === true);
          }
          const told = (maker: 'ours' | 'real') => ({
            replies: said[maker].replies.map(neutral),
            log: said[maker].log.map(neutral),
            filter: (peerOf(maker)?.sessions.slice(before[maker]) ?? []).map(
              ({ commands, messages }) => ({
                commands: commands.map(neutral),
                messages: messages.map((each) => ({ ...each, content: neutral(each.content) })),
              }),
            ),
          });
          assert.deepEqual(told('ours'), told('real'));
        });
      }
    }),
  );
  await Promise.all(tests);
});
