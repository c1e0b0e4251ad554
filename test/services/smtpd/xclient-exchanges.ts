/** What proxies and filters say that speak for other clients. XCLIENT_README, XFORWARD_README. */

import type { Setting } from './compare.ts';
import { type Step, send } from './dialogue.ts';
import { EHLO, FROM, QUIT, TO } from './steps.ts';

const NOBODY = 'RCPT TO:<nobody-here@lab.test>';
const FAR = 'RCPT TO:<u@far.test>';
const MESSAGE: readonly Step[] = ['DATA', send('a: b\r\n\r\nc\r\n.\r\n')];
/** What shows who the client is, and what it may do. */
const SHOW: readonly Step[] = [FROM, NOBODY, FAR, TO, 'RSET', EHLO, QUIT];

const xclient = (...list: readonly string[]) => list.map((text) => `XCLIENT ${text}`);
const xforward = (...list: readonly string[]) => list.map((text) => `XFORWARD ${text}`);
const ALL_ABSENT = ['NAME', 'ADDR', 'PORT', 'HELO']
  .map((name) => `${name}=[UNAVAILABLE]`)
  .join(' ');

const HOSTS = {
  smtpd_authorized_xclient_hosts: '127.0.0.1',
  smtpd_authorized_xforward_hosts: '127.0.0.1',
};

export const XCLIENT_SETTINGS = {
  XCLIENT: {
    main: HOSTS,
    sessions: {
      EHLO: [EHLO, QUIT],
      'a stranger': {
        from: '127.0.0.5',
        steps: [EHLO, 'XCLIENT', 'XCLIENT x', 'XFORWARD', 'XFORWARD NAME=x', QUIT],
      },
      'a name and an address': [
        EHLO,
        'XCLIENT NAME=spike.test ADDR=192.0.2.1',
        ...[EHLO, FROM, NOBODY, FAR, TO],
        ...MESSAGE,
        QUIT,
      ],
      'a name': [...xclient('NAME=SPIKE.Test'), ...SHOW],
      'an address': [...xclient('ADDR=192.0.2.1'), ...SHOW],
      'our own address': [EHLO, ...xclient('ADDR=127.0.0.1'), ...SHOW],
      'names that are none': [
        ...xclient('NAME=-x', 'NAME=192.0.2.1', 'NAME=[192.0.2.1]', 'NAME=a..b', 'NAME=*'),
        ...xclient('NAME=a b', 'NAME=<a>', 'NAME=a+0Ab', 'NAME=caf+C3+A9.test', 'NAME=x.'),
        ...xclient('NAME=caf\xc3\xa9.test', 'REVERSE_NAME=-x', 'REVERSE_NAME=192.0.2.1'),
        ...SHOW,
      ],
      'odd names': [...xclient('NAME=a_b', 'NAME=xn--caf-dma.test', 'NAME=a+2Db'), ...SHOW],
      'addresses that are none': [
        ...xclient('ADDR=x', 'ADDR=1.2.3', 'ADDR=[1.2.3.4]', 'ADDR=1.2.3.4.5', 'ADDR=ipv6:1.2.3.4'),
        ...xclient('ADDR=2001:db8::1', 'ADDR=IPv6:2001:db8::1', 'ADDR=[TEMPUNAVAIL]'),
        ...xclient('DESTADDR=x', 'DESTADDR=IPV6:2001:db8::9', 'DESTADDR=[TEMPUNAVAIL]'),
        ...SHOW,
      ],
      'nothing that is known': [
        ...xclient(`${ALL_ABSENT} LOGIN=[unavailable] DESTADDR=[UNAVAILABLE]`),
        ...SHOW,
      ],
      'what is not known now': [
        ...xclient('NAME=[TEMPUNAVAIL]', 'REVERSE_NAME=[tempunavail]', 'HELO=[TEMPUNAVAIL]'),
        ...xclient('PORT=[TEMPUNAVAIL]'),
        ...SHOW,
      ],
      ports: [
        ...xclient('PORT=0', 'PORT=65535', 'PORT=65536', 'PORT=025', 'PORT=100000', 'PORT=x'),
        ...xclient('PORT=-1', 'PORT=smtp', 'PORT=', 'DESTPORT=0', 'DESTPORT=99999', 'DESTPORT=x'),
        QUIT,
      ],
      protocols: [
        ...['PROTO=SMTP', 'PROTO=ESMTP', 'PROTO=esmtp'].flatMap((text) => [
          ...xclient(text),
          ...[FROM, NOBODY, 'RSET'],
        ]),
        ...xclient('PROTO=HTTP', 'PROTO=[UNAVAILABLE]', 'PROTO=LMTP'),
        QUIT,
      ],
      HELO: [...xclient('HELO=spike.test'), FROM, NOBODY, TO, ...MESSAGE, ...SHOW],
      'HELO and protocol': [...xclient('HELO=spike.test PROTO=ESMTP'), ...SHOW],
      'HELO is forgotten': [EHLO, ...xclient('HELO=spike.test', 'NAME=a.test'), ...SHOW],
      'odd names for HELO': [
        ...xclient('HELO=a+20b', 'HELO=a+0Ab', 'HELO=+C3+A9', 'HELO=a+zz', 'HELO=a=b'),
        ...xclient(`HELO=${'x'.repeat(255)}`, `HELO=${'x'.repeat(256)}`, 'HELO=a@b;c(d)"e"f<g>'),
        ...SHOW,
      ],
      'a login': [
        ...xclient('LOGIN=ann'),
        ...[EHLO, FROM, TO, ...MESSAGE],
        ...xclient('LOGIN=[UNAVAILABLE]'),
        ...SHOW,
      ],
      'a login that stays': [
        ...xclient('LOGIN=a+3Cb', 'NAME=a.test'),
        'MAIL FROM:<a@client.test> AUTH=x',
        TO,
        ...SHOW,
      ],
      'attributes that are none': [
        ...['XCLIENT', 'XCLIENT x', 'XCLIENT =', 'XCLIENT =x', 'XCLIENT NAME', 'XCLIENT NAME='],
        ...xclient('FOO=bar', 'NAME=+zz', 'NAME=+', 'NAME = x', 'IDENT=x', 'SOURCE=LOCAL'),
        'xclient name=a.test',
        ...SHOW,
      ],
      'in a transaction': [EHLO, FROM, 'XCLIENT NAME=a.test', 'XCLIENT', 'XFORWARD', QUIT],
      'without the right any more': [
        EHLO,
        ...xclient('ADDR=127.0.0.5'),
        EHLO,
        ...xclient('ADDR=127.0.0.1'),
        ...xforward('NAME=x'),
        ...SHOW,
      ],
      'more than one command at once': [EHLO, send('XCLIENT NAME=a.test\r\nNOOP\r\nQUIT\r\n', 3)],
      'after a message': [EHLO, FROM, TO, ...MESSAGE, ...xclient('NAME=a.test'), ...SHOW],
      errors: [EHLO, 'FOO', ...xclient('NAME=a.test'), 'FOO', QUIT],
    },
  },
  'XCLIENT and early restrictions': {
    main: {
      ...HOSTS,
      smtpd_delay_reject: 'no',
      smtpd_client_restrictions: 'reject_unauth_pipelining, permit_mynetworks, reject',
      smtpd_helo_restrictions: 'reject_invalid_helo_hostname',
    },
    sessions: {
      'one of us, then a stranger': [
        ...xclient('NAME=good.test', 'ADDR=192.0.2.66'),
        ...['NOOP', 'XCLIENT ADDR=127.0.0.1', EHLO, QUIT],
      ],
      'a name for HELO': [...xclient('HELO=b..d'), ...SHOW],
    },
  },
  'XCLIENT and late restrictions': {
    main: { ...HOSTS, smtpd_client_restrictions: 'permit_mynetworks, reject' },
    sessions: { 'a stranger': [...xclient('NAME=bad.test ADDR=192.0.2.66'), ...SHOW] },
  },
  'XCLIENT and ports in the log': {
    main: { ...HOSTS, smtpd_client_port_logging: 'yes' },
    sessions: {
      'no port': [...xclient('PORT=[UNAVAILABLE]'), ...xforward('NAME=a.test'), ...SHOW],
      'a forwarded port': [
        ...xclient('PORT=99'),
        ...xforward('NAME=a.test ADDR=192.0.2.1 PORT=9'),
        ...SHOW,
      ],
      'a forwarded address': [
        ...xclient('PORT=99'),
        ...xforward('NAME=a.test ADDR=192.0.2.1'),
        ...SHOW,
      ],
      'a port': [...xclient('PORT=99 ADDR=192.0.2.1'), 'QUIT'],
    },
  },
  'XCLIENT with HELO required': {
    main: { ...HOSTS, smtpd_helo_required: 'yes' },
    sessions: {
      'a name': [EHLO, ...xclient('NAME=b.test'), FROM, ...xclient('HELO=x PROTO=ESMTP'), FROM],
    },
  },
  'XCLIENT and features by address': {
    main: { ...HOSTS, smtpd_discard_ehlo_keyword_address_maps: 'texthash:$config_directory/ehlo' },
    sessions: { 'a stranger': [EHLO, ...xclient('ADDR=127.0.0.5'), EHLO, QUIT] },
  },
  'XCLIENT that is not offered': {
    main: { ...HOSTS, smtpd_discard_ehlo_keywords: 'xclient, xforward' },
    sessions: { both: [EHLO, ...xclient('NAME=x'), ...xforward('NAME=x'), ...SHOW] },
  },
  'XCLIENT and limits': {
    main: {
      ...HOSTS,
      smtpd_client_connection_rate_limit: '1',
      smtpd_client_event_limit_exceptions: '',
    },
    sessions: {
      'a first connection': [...xclient('ADDR=192.0.2.1'), QUIT],
      'a second connection': [...xclient('NAME=a.test', 'ADDR=192.0.2.1'), 'await end'],
      'a third, of somebody else': [...xclient('ADDR=192.0.2.2'), QUIT],
    },
  },
  'XCLIENT and bare line feeds': {
    main: {
      ...HOSTS,
      smtpd_forbid_bare_newline: 'reject',
      smtpd_forbid_bare_newline_exclusions: '$mynetworks',
    },
    sessions: {
      'a stranger': [...xclient('ADDR=192.0.2.5'), send('EHLO a\n'), 'await end'],
    },
  },
  'XCLIENT out of step': {
    main: { ...HOSTS, smtpd_forbid_unauth_pipelining: 'yes' },
    sessions: { NOOP: [EHLO, send('XCLIENT NAME=a.test\r\nNOOP\r\n'), 'await end'] },
  },
  XFORWARD: {
    main: HOSTS,
    sessions: {
      'all of it': [
        EHLO,
        ...xforward('NAME=spike.test ADDR=192.0.2.1 PROTO=ESMTP'),
        ...xforward('HELO=h.test IDENT=ABC PORT=99 SOURCE=REMOTE'),
        ...[FROM, NOBODY, TO, ...MESSAGE],
        ...SHOW,
      ],
      ...Object.fromEntries(
        [
          ...['NAME=spike.test', 'ADDR=192.0.2.1', 'IDENT=ABC', 'PORT=99', 'PROTO=ESMTP'],
          ...['HELO=h.test', 'SOURCE=LOCAL', 'IDENT=[UNAVAILABLE]', ALL_ABSENT],
        ].map((text) => [text, [EHLO, ...xforward(text), ...SHOW]]),
      ),
      'RSET forgets it': [EHLO, ...xforward('NAME=a.test IDENT=Q1'), 'RSET', ...SHOW],
      'EHLO forgets it': [...xforward('NAME=a.test IDENT=Q1'), EHLO, ...SHOW],
      'XCLIENT forgets it': [
        ...xforward('NAME=a.test IDENT=Q1'),
        ...xclient('NAME=b.test'),
        ...SHOW,
      ],
      'a sender that is wrong does not forget it': [
        ...xforward('NAME=a.test'),
        'MAIL FROM:<',
        ...SHOW,
      ],
      values: [
        'XFORWARD',
        ...xforward('x', 'NAME=', 'FOO=bar', 'foo=bar', 'REVERSE_NAME=x', 'LOGIN=x', 'NAME=+zz'),
        ...xforward('ADDR=x', 'ADDR=IPv6:2001:db8::1', 'PORT=x', 'PORT=0', 'SOURCE=x'),
        ...xforward('SOURCE=local', 'PROTO=x+20y', `PROTO=${'x'.repeat(65)}`),
        ...xforward(`PROTO=${'x'.repeat(64)}`, `IDENT=${'x'.repeat(255)}`),
        ...xforward(`IDENT=${'x'.repeat(256)}`, 'HELO=a<b', 'NAME=a+0Ab', 'NAME=[TEMPUNAVAIL]'),
        ...xforward('NAME=-x', 'NAME=a<b>c', 'IDENT=a+20b', 'NAME=+C3+A9'),
        'xforward name=x',
        ...SHOW,
      ],
      'more than one command at once': [
        EHLO,
        send(`XFORWARD NAME=a.test\r\n${FROM}\r\n${TO}\r\nQUIT\r\n`, 4),
      ],
      AUTH: [EHLO, ...xforward('NAME=a.test'), 'MAIL FROM:<a@client.test> AUTH=x', TO, QUIT],
    },
  },
} satisfies Record<string, Setting>;
