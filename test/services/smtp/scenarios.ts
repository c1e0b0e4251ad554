/** Far ends that misbehave in every way we could think of, and the mail they get. */
import type { PeerScript } from '../../support/smtp-peer.ts';
import type { AgentOptions, Mail } from './agent.ts';

export interface Scenario {
  readonly peer?: PeerScript;
  readonly protocol?: AgentOptions['protocol'];
  readonly main?: Readonly<Record<string, string>>;
  readonly mail?: Mail;
  /** `PORT` is the peer's; `PATH` its socket. */
  readonly nexthop?: string;
}

const TWO = { recipients: ['bob@example.net', 'carol@example.net'] };
const PLAIN = ['SIZE 10240000'];
const LONG = 'x'.repeat(300);
const BIG = `Subject: big\n\n${`${'y'.repeat(70)}\n`.repeat(20_000)}`;
/** More than the network holds on the way. */
const HUGE = `Subject: huge\n\n${`${'y'.repeat(990)}\n`.repeat(16_000)}`;
/** How long silence is waited for, at each stage; at all others there is time enough. */
const SHORT_TIMES = {
  CONNECT: { smtp_helo_timeout: '1s' },
  // The greeting has to come in that time, too.
  EHLO: { smtp_helo_timeout: '3s' },
  MAIL: { smtp_mail_timeout: '1s' },
  RCPT: { smtp_rcpt_timeout: '1s' },
  DATA: { smtp_data_init_timeout: '1s' },
  END_OF_DATA: { smtp_data_done_timeout: '1s' },
};

/** Each of these is said at each stage. */
const SAID: Record<string, string> = {
  'a hard refusal': '550 5.7.1 go away',
  'a soft refusal': '450 4.7.1 come back later',
  'a refusal without status': '554 go away',
  'a soft refusal without status': '451 later',
  'a refusal with the wrong class of status': '550 4.7.1 go away',
  'a refusal in many lines': '550-5.7.1 go\n550-5.7.1 far\n550 5.7.1 away',
  'a 421': '421 4.3.2 closing down',
  'a 3xx reply': '354 what?',
  'a 1xx reply': '150 what?',
  'a 2xx reply': '250 2.0.0 fine',
  'a bare code': '550',
};

const STAGES = ['CONNECT', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'END_OF_DATA'] as const;

const MULTIPART = [
  'Subject: a subject that is replaced',
  'X-Drop: me',
  'X-Strip: me',
  'X-Folded: first',
  '\tsecond',
  'To: somebody',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  'prologue',
  '--b',
  'Content-Type: text/plain; name=evil.exe',
  'X-Drop: in a part',
  '',
  'drop this line',
  'replace this line',
  'a line to be prepended to, which is longer than the sixty characters that are logged of a line',
  '--b',
  'Content-Type: message/rfc822',
  '',
  'Subject: inner',
  'X-Drop: nested',
  '',
  'drop this line',
  'reject this line',
  'last',
  '--b--',
].join('\n');

const HEADER_RULES =
  'regexp:{{/^Subject: a/ REPLACE Subject: new}, {/^X-Drop/ IGNORE}, {/^X-Strip/ STRIP gone}, {/^X-Folded: .*second/ PREPEND X-New: header}, {/^To:/ WARN who}, {/^MIME/ REPLACE no header}}';
const BODY_RULES =
  'regexp:{{/^drop/ IGNORE}, {/^replace/ REPLACE replaced}, {/^a line/ PREPEND in front}, {/^reject/ REJECT no}, {/^last/ INFO the last}}';

const CHECKS: Record<string, Scenario> = {
  'header and body checks': {
    main: { smtp_header_checks: HEADER_RULES, smtp_body_checks: BODY_RULES },
    mail: { content: `${MULTIPART}\n` },
  },
  'checks of nested headers and those of parts': {
    main: {
      smtp_mime_header_checks:
        'regexp:{{/name=.*exe/ REPLACE X-Type: removed}, {/^X-Drop/ IGNORE}}',
      smtp_nested_header_checks: 'regexp:{{/^Subject/ PREPEND X-Inner: seen}, {/^X-Drop/ IGNORE}}',
    },
    mail: { content: `${MULTIPART}\n` },
  },
  'header checks that are in trouble': {
    main: { smtp_header_checks: 'fail:now' },
    mail: { content: 'Subject: x\n\nbody\n' },
  },
  'body checks that are in trouble': {
    main: { smtp_body_checks: 'fail:now' },
    mail: { content: 'Subject: x\n\nbody\n' },
  },
  'a reply filter': {
    peer: { RCPT: '450 4.2.0 not now', EHLO: '502 what?' },
    main: {
      smtp_reply_filter: 'regexp:{{/^450(.*)/ 550 5.1.9 never}, {/^502/ 500 no}, {/^354/ 354 x}}',
    },
    mail: TWO,
  },
  'a reply filter for one of many lines': {
    main: { smtp_reply_filter: 'regexp:{{/^250-PIPELINING/ 250-X-NONE}, {/SIZE/ 250-SIZE 5}}' },
    mail: TWO,
  },
  'a reply filter in trouble': { main: { smtp_reply_filter: 'fail:now' } },
  'PIX workarounds of one server': {
    peer: { CONNECT: '220 ************************' },
    main: {
      smtp_pix_workaround_threshold_time: '0s',
      smtp_pix_workaround_delay_time: '1s',
      smtp_pix_workaround_maps: 'inline:{127.0.0.1=disable_esmtp}',
      smtp_pix_workarounds: '',
    },
  },
  smtp_bind_address_enforce: {
    main: { smtp_bind_address: '192.0.2.77', smtp_bind_address_enforce: 'yes' },
  },
  'smtp_bind_address that is not ours': { main: { smtp_bind_address: '192.0.2.77' } },
  'a status filter': {
    peer: { RCPT: '450 4.2.0 not now' },
    main: { smtp_delivery_status_filter: 'regexp:{{/^4(\\S+) .*/ 5$$1 never}}' },
  },
};

export const SCENARIOS: Record<string, Scenario> = {
  ...CHECKS,
  'a server that takes it': {},
  'a server that takes two recipients': { mail: TWO },
  'a server without extensions': { peer: { extensions: [] }, mail: TWO },
  'a server without EHLO': { peer: { EHLO: '502 5.5.1 what?' }, mail: TWO },
  'a server without EHLO and HELO': { peer: { EHLO: '502 what?', HELO: '502 5.5.1 what?' } },
  'smtp_always_send_ehlo = no': {
    peer: { CONNECT: '220 old.example SMTP' },
    main: { smtp_always_send_ehlo: 'no' },
  },
  smtp_never_send_ehlo: { main: { smtp_never_send_ehlo: 'yes' } },
  'smtp_skip_5xx_greeting = no': {
    peer: { CONNECT: '554 5.7.1 no service' },
    main: { smtp_skip_5xx_greeting: 'no' },
  },
  'smtp_skip_quit_response = no': { main: { smtp_skip_quit_response: 'no' } },
  'smtp_skip_quit_response = no, no pipelining': {
    peer: { extensions: PLAIN },
    main: { smtp_skip_quit_response: 'no' },
  },
  'a message over the size limit': { peer: { extensions: ['SIZE 10'] } },
  'one of two recipients refused': {
    peer: { RCPT: ['550 5.1.1 unknown', '250 2.1.5 Ok'] },
    mail: TWO,
  },
  'one of two recipients refused, no pipelining': {
    peer: { RCPT: ['550 5.1.1 unknown', '250 2.1.5 Ok'], extensions: PLAIN },
    mail: TWO,
  },
  'one recipient deferred, one refused': {
    peer: { RCPT: ['450 4.2.0 full', '550 5.1.1 unknown'] },
    mail: TWO,
  },
  'all refused, yet DATA is taken': {
    peer: { RCPT: '550 5.1.1 unknown', DATA: '354 go on', END_OF_DATA: '554 no recipients' },
    mail: TWO,
  },
  'garbage before a reply': { peer: { MAIL: 'hello?\n250 2.1.0 Ok', extensions: PLAIN } },
  'a very long reply': { peer: { RCPT: `550 5.1.1 ${LONG.repeat(20)}` } },
  'control characters in a reply': { peer: { RCPT: '550 5.1.1 a\x1b[2Jb\tc\x80' } },
  'UTF-8 in a reply': { peer: { RCPT: '550 5.1.1 unbekannter Empfänger' } },
  'a server with our own name': { peer: { CONNECT: '220 mail.example.com ESMTP' } },
  'nobody there': { nexthop: '[127.0.0.1]:1' },
  'the first of two destinations is not there': { nexthop: '[127.0.0.1]:1, [127.0.0.1]:PORT' },
  'the first of two destinations is in trouble': {
    peer: { RCPT: ['450 4.2.0 later', '250 2.1.5 Ok'] },
    nexthop: '[127.0.0.1]:PORT [127.0.0.1]:PORT',
  },
  'the first of two destinations refuses': {
    peer: { RCPT: ['550 5.2.0 never', '250 2.1.5 Ok'] },
    nexthop: '[127.0.0.1]:PORT [127.0.0.1]:PORT',
  },
  'the second of two destinations is not there': {
    peer: { RCPT: ['450 4.2.0 later', '250 2.1.5 Ok'] },
    nexthop: '[127.0.0.1]:PORT [127.0.0.1]:1',
  },
  'the second destination takes whom the first deferred': {
    peer: { RCPT: ['250 2.1.5 Ok', '450 4.2.0 later', '250 2.1.5 Ok'] },
    nexthop: '[127.0.0.1]:PORT [127.0.0.1]:PORT',
    mail: TWO,
  },
  'soft_bounce with two destinations': {
    peer: { RCPT: ['550 5.2.0 never', '551 5.2.0 never'] },
    main: { soft_bounce: 'yes' },
    nexthop: '[127.0.0.1]:PORT [127.0.0.1]:PORT',
  },
  smtp_fallback_relay: {
    main: { smtp_fallback_relay: '[127.0.0.1]:PORT' },
    nexthop: '[127.0.0.1]:1',
  },
  'a fallback relay that refuses to talk': {
    peer: { CONNECT: '554 5.0.0 no' },
    main: { smtp_fallback_relay: '[127.0.0.1]:PORT', smtp_skip_5xx_greeting: 'no' },
    nexthop: '[127.0.0.1]:1',
  },
  'the null sender': { mail: { sender: '' } },
  'addresses that need quotes': {
    mail: { sender: 'odd user@example.com', recipients: ['a"b@example.net', '.dot@example.net'] },
  },
  'smtp_quote_rfc821_envelope = no': {
    mail: { sender: 'odd.@example.com' },
    main: { smtp_quote_rfc821_envelope: 'no' },
  },
  '8-bit mail': { mail: { encoding: '8bit' } },
  'DSN parameters': {
    mail: {
      envelopeId: 'QQ+1 =2',
      retFlags: 2,
      recipients: [
        { address: 'bob@example.net', dsnOriginal: 'rfc822;Bob+x@example.org', notify: 6 },
        { address: 'carol@example.net', notify: 1 },
      ],
    },
  },
  'DSN parameters, but a server that knows none': {
    peer: { extensions: PLAIN },
    mail: {
      flags: 3,
      envelopeId: 'QQ1',
      recipients: [{ address: 'bob@example.net', notify: 2 }],
    },
  },
  'success is to be told, and the server does so': {
    mail: { flags: 3, recipients: [{ address: 'bob@example.net', notify: 2 }] },
  },
  'an original recipient and no ORCPT': {
    mail: { recipients: [{ address: 'bob@example.net', original: 'odd bob@example.org' }] },
  },
  SMTPUTF8: { mail: { sendOptions: 1 } },
  'SMTPUTF8 is needed and not there': { peer: { extensions: PLAIN }, mail: { sendOptions: 1 | 4 } },
  'SMTPUTF8 is asked for, not needed, not there': {
    peer: { extensions: PLAIN },
    mail: { sendOptions: 1 },
  },
  'discarded keywords': { main: { smtp_discard_ehlo_keywords: 'dsn, pipelining, size' } },
  XFORWARD: {
    peer: { extensions: ['XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT'] },
    main: { smtp_send_xforward_command: 'yes' },
  },
  'XFORWARD, pipelined': {
    peer: { extensions: ['PIPELINING', 'XFORWARD NAME ADDR PROTO HELO SOURCE PORT'] },
    main: { smtp_send_xforward_command: 'yes' },
    mail: { logClientName: 'unknown', rewriteContext: 'local' },
  },
  'XFORWARD that is refused': {
    peer: { extensions: ['XFORWARD NAME'], XFORWARD: '550 5.7.0 no' },
    main: { smtp_send_xforward_command: 'yes' },
  },
  'an address probe': { mail: { flags: 512 | 2 } },
  'an address probe that is refused': {
    peer: { RCPT: '550 5.1.1 unknown' },
    mail: { flags: 512 | 2 },
  },
  'an address probe up to DATA': {
    mail: { flags: 512 | 2 },
    main: { smtp_address_verify_target: 'data' },
  },
  'long lines': {
    mail: { content: `Subject: x\n\n${'z'.repeat(5000)}\n.${'w'.repeat(997)}\nend\n` },
  },
  'a line of exactly the limit': { mail: { content: `Subject: x\n\n${'z'.repeat(998)}\nend\n` } },
  smtp_line_length_limit: {
    mail: { content: 'Subject: x\n\n0123456789abcdefghijklmn\n.3456789.abcdef\n' },
    main: { smtp_line_length_limit: '20' },
  },
  'a dotted message': { mail: { content: 'Subject: x\n\n.\n..\n.a\nb.\n' } },
  'an empty message': { mail: { content: '' } },
  'a big message': { mail: { content: BIG } },
  'lost in the middle of a big message': {
    peer: { DATA: '354 go', pauseData: true },
    mail: { content: HUGE },
    main: { smtp_data_xfer_timeout: '1s' },
  },
  'no verdict at all': { peer: { END_OF_DATA: 'silent' }, main: SHORT_TIMES.END_OF_DATA },
  'an LMTP server': {
    protocol: 'lmtp',
    peer: { lmtp: true },
    nexthop: 'inet:127.0.0.1:PORT',
    mail: TWO,
  },
  'an LMTP server that refuses one at the end': {
    protocol: 'lmtp',
    peer: { lmtp: true, END_OF_DATA: ['250 2.0.0 Ok', '552 5.2.2 over quota'] },
    nexthop: '[127.0.0.1]:PORT',
    mail: TWO,
  },
  'an LMTP server that hangs up between verdicts': {
    protocol: 'lmtp',
    peer: { lmtp: true, END_OF_DATA: ['250 2.0.0 Ok', 'drop'] },
    nexthop: 'inet:[127.0.0.1]:PORT',
    mail: TWO,
  },
  'an LMTP server that does not know LHLO': {
    protocol: 'lmtp',
    peer: { LHLO: '500 5.5.1 what?' },
    nexthop: 'inet:127.0.0.1:PORT',
  },
  'LMTP without DSN, lmtp_assume_final': {
    protocol: 'lmtp',
    peer: { lmtp: true, extensions: PLAIN },
    main: { lmtp_assume_final: 'yes' },
    nexthop: 'inet:127.0.0.1:PORT',
  },
  'an LMTP socket that is not there': { protocol: 'lmtp', nexthop: 'unix:private/nobody' },
};

const EIGHT = { encoding: '8bit' } as const;
const SEVEN_BIT_PEER = { extensions: ['SIZE 10240000'] };
const MIME = 'MIME-Version: 1.0\n';
const UMLAUT = 'Grüße aus Köln = schön\nplain\ntrailing space \ttab\t\n.dot ü\n';
Object.assign(SCENARIOS, {
  '8-bit text for a 7-bit server': {
    peer: SEVEN_BIT_PEER,
    mail: {
      ...EIGHT,
      content: `${MIME}Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nSubject: x\n\n${UMLAUT}`,
    },
  },
  '8-bit parts for a 7-bit server': {
    peer: SEVEN_BIT_PEER,
    mail: {
      ...EIGHT,
      content:
        `${MIME}Content-Type: multipart/mixed; boundary="b1"\nContent-Transfer-Encoding: 8bit\n\nprelude ü\n` +
        `--b1\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n${UMLAUT}\n` +
        '--b1\nContent-Type: text/plain\n\nplain = part\n' +
        `--b1\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: in\nContent-Transfer-Encoding: 8bit\n\n${UMLAUT}` +
        '--b1--\nepilogue ü\n',
    },
  },
  '8-bit mail that says nothing of it, for a 7-bit server': {
    peer: SEVEN_BIT_PEER,
    mail: { ...EIGHT, content: `Subject: x\n\n${UMLAUT}` },
  },
  disable_mime_output_conversion: {
    peer: SEVEN_BIT_PEER,
    main: { disable_mime_output_conversion: 'yes' },
    mail: {
      ...EIGHT,
      content: `${MIME}Content-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\n${UMLAUT}`,
    },
  },
  smtp_discard_ehlo_keyword_address_maps: {
    main: { smtp_discard_ehlo_keyword_address_maps: 'inline:{127.0.0.1=pipelining}' },
  },
} satisfies Record<string, Scenario>);

for (const stage of STAGES) {
  for (const [what, said] of Object.entries(SAID)) {
    // 354 is the right answer to DATA.
    if (stage === 'DATA' && said.startsWith('354')) continue;
    if (stage !== 'DATA' && said.startsWith('2')) continue;
    SCENARIOS[`${what} at ${stage}`] = { peer: { [stage]: said }, mail: TWO };
    if (stage === 'CONNECT' || stage === 'EHLO') continue;
    SCENARIOS[`${what} at ${stage}, no pipelining`] = {
      peer: { [stage]: said, extensions: PLAIN },
      mail: TWO,
    };
  }
  SCENARIOS[`a connection dropped at ${stage}`] = { peer: { [stage]: 'drop' }, mail: TWO };
  SCENARIOS[`silence at ${stage}`] = {
    peer: { [stage]: 'silent' },
    mail: TWO,
    main: SHORT_TIMES[stage],
  };
  // Before it has said a word nobody knows whether a client has seen that it is connected.
  if (stage === 'CONNECT') continue;
  SCENARIOS[`a connection reset at ${stage}`] = {
    peer: { [stage]: 'destroy', extensions: PLAIN },
    mail: TWO,
  };
}
