/** What clients say that send a message in chunks. RFC 3030. */

import type { Setting } from './compare.ts';
import { type Step, send } from './dialogue.ts';
import { EHLO, FROM, QUIT, TO } from './steps.ts';

const ENVELOPE: readonly Step[] = [EHLO, FROM, TO];

/** The command for `text`, and `text`. */
const bytesOf = (text: string, last = '') => `BDAT ${text.length}${last}\r\n${text}`;
const chunk = (text: string) => send(bytesOf(text));
const last = (text: string) => send(bytesOf(text, ' LAST'));
/** Announces more than comes; the client goes away. */
const half = (size: number, text: string): readonly Step[] => [
  send(`BDAT ${size}\r\n${text}`, 0),
  'half-close',
  'await end',
];
const END = last('');
const BODY = 'Subject: test\r\n\r\nhello\r\n';
const AGAIN: readonly Step[] = [FROM, TO, last(BODY), QUIT];

export const CHUNK_SETTINGS = {
  chunks: {
    main: {},
    sessions: {
      'one chunk': [...ENVELOPE, last(BODY), QUIT],
      'small letters': [...ENVELOPE, send('bdat 3 last\r\na\r\n'), QUIT],
      'two chunks': [...ENVELOPE, chunk('Subject: test\r\n\r\n'), last('hello\r\n'), QUIT],
      'an empty chunk at the end': [...ENVELOPE, chunk(BODY), END, QUIT],
      'nothing at all': [...ENVELOPE, END, QUIT],
      'two messages': [...ENVELOPE, last(BODY), ...AGAIN],
      'lines across chunks': [
        ...ENVELOPE,
        chunk('Subje'),
        chunk('ct: x\r'),
        chunk('\n\r'),
        chunk('\nh'),
        END,
        QUIT,
      ],
      'no line end at the end': [...ENVELOPE, last('a: b\r\n\r\nc'), QUIT],
      'half a line end at the end': [...ENVELOPE, chunk('a: b\r'), END, QUIT],
      'several CRs': [...ENVELOPE, last('a: b\r\r\r\n'), QUIT],
      'bare line ends': [...ENVELOPE, last('a: b\n\nc\nd\re\n'), QUIT],
      dots: [...ENVELOPE, last('a: b\r\n\r\n.\r\n..\r\n.x\r\n..y\r\n.\r\n'), QUIT],
      'a line as long as the limit': [...ENVELOPE, chunk('x'.repeat(2048)), last('\r\n'), QUIT],
      'a line shorter than the limit': [...ENVELOPE, chunk('x'.repeat(2047)), last('\r\n'), QUIT],
      'a line as long as the limit, without an end': [
        ...ENVELOPE,
        chunk('x'.repeat(2048)),
        END,
        QUIT,
      ],
      'a line longer than the limit': [
        ...ENVELOPE,
        chunk(`${'x'.repeat(2048)}\r`),
        last('\n'),
        QUIT,
      ],
      'a very long line': [...ENVELOPE, last(`a: b\r\n\r\n${'x'.repeat(9000)}\r\n`), QUIT],
      'a first line that is a separator': [...ENVELOPE, last('From ann\r\na: b\r\n\r\nc'), QUIT],
      'a first line that starts with a blank': [...ENVELOPE, last(' a: b\r\nc'), QUIT],
      'an empty chunk before the end': [
        ...ENVELOPE,
        chunk(''),
        chunk('abc'),
        TO,
        'DATA',
        FROM,
        'NOOP',
        last('abcd'),
        FROM,
        QUIT,
      ],
      'an empty chunk after another': [
        ...ENVELOPE,
        chunk('abc'),
        chunk(''),
        chunk(''),
        'RSET',
        ...AGAIN,
      ],
      'a chunk before MAIL': [
        EHLO,
        chunk('abc'),
        FROM,
        TO,
        'DATA',
        chunk('abc'),
        'RSET',
        FROM,
        QUIT,
      ],
      'a last chunk before MAIL': [EHLO, last('abc'), FROM, QUIT],
      'a chunk before RCPT': [EHLO, FROM, chunk('abc'), TO, last('abc'), TO, FROM, QUIT],
      'a last chunk before RCPT': [EHLO, FROM, last('abc'), ...AGAIN],
      'other commands between chunks': [
        ...ENVELOPE,
        chunk('a\r\n'),
        ...['DATA', TO, FROM, 'NOOP', 'VRFY root', 'ETRN lab.test'],
        ...['STARTTLS', 'AUTH PLAIN', 'XCLIENT NAME=a', 'XFORWARD NAME=a', 'FOO'],
        END,
        QUIT,
      ],
      'RSET between chunks': [...ENVELOPE, chunk('a\r\n'), 'RSET', chunk('abc'), 'RSET', ...AGAIN],
      'EHLO between chunks': [...ENVELOPE, chunk('a\r\n'), EHLO, ...AGAIN],
      'a chunk after DATA': [
        ...ENVELOPE,
        'DATA',
        send('BDAT 3\r\nabc\r\n.\r\n'),
        chunk('abc'),
        QUIT,
      ],
      'a chunk after the last': [...ENVELOPE, last('a\r\n'), last('a\r\n'), ...AGAIN],
      'no size': [...ENVELOPE, 'BDAT', 'await end'],
      'a size that is no number': [...ENVELOPE, 'BDAT x', 'await end'],
      'a negative size': [EHLO, 'BDAT -1', 'await end'],
      'a size that is too large for any': [EHLO, 'BDAT 9223372036854775808', 'await end'],
      'a size with zeros': [
        ...ENVELOPE,
        send('BDAT 0000000000000000000000003 LAST\r\na\r\n'),
        QUIT,
      ],
      'something else than LAST': [EHLO, 'BDAT 3 FOO', 'await end'],
      'more than LAST': [EHLO, 'BDAT 3 LAST x', 'await end'],
      'all at once': [
        EHLO,
        send(
          `${FROM}\r\n${TO}\r\n${bytesOf('Subject: x\r\n\r\n')}${bytesOf('hello\r\n')}` +
            `BDAT 0 LAST\r\n${FROM}\r\n${TO}\r\n${bytesOf(BODY, ' LAST')}QUIT\r\n`,
          9,
        ),
      ],
      'all at once, without recipients': [
        EHLO,
        send(
          `${FROM}\r\nRCPT TO:<nobody-here@lab.test>\r\n${bytesOf('QUIT\r\n')}` +
            `${bytesOf('RSET\r\n')}${bytesOf('QUIT\r\n', ' LAST')}${FROM}\r\nQUIT\r\n`,
          7,
        ),
      ],
      'a client that says HELO': ['HELO client.test', FROM, TO, last('a\r\n'), QUIT],
      'a client that says nothing': [FROM, TO, last('a\r\n'), QUIT],
      'a client that goes in a chunk': [...ENVELOPE, ...half(10, 'abc')],
      'a client that goes in the second chunk': [
        ...ENVELOPE,
        chunk('abc\r\n'),
        ...half(10, 'abc\r\nd'),
      ],
      'a client that goes between chunks': [
        ...ENVELOPE,
        chunk('abc\r\n'),
        'half-close',
        'await end',
      ],
      'a client that goes after half a line': [
        ...ENVELOPE,
        chunk('abc'),
        'half-close',
        'await end',
      ],
      'a client that goes in a chunk that is refused': [EHLO, ...half(10, 'abc')],
      'a client that goes after the last chunk': [
        ...ENVELOPE,
        last('a\r\n'),
        'half-close',
        'await end',
      ],
      'a client that goes in DATA': [
        ...ENVELOPE,
        'DATA',
        send(`${'x'.repeat(5000)}\r\nabc\r\n`, 0),
        'half-close',
        'await end',
      ],
      'too many hops': [
        ...ENVELOPE,
        last(`${'Received: from x by y; today\r\n'.repeat(51)}\r\n`),
        ...AGAIN,
      ],
      BINARYMIME: [EHLO, 'MAIL FROM:<ann@client.test> BODY=BINARYMIME', QUIT],
    },
  },
  'chunks that are too big': {
    main: { message_size_limit: '100' },
    sessions: {
      'the first': [...ENVELOPE, chunk('x'.repeat(101)), chunk('abc'), END, ...AGAIN],
      'the first and last': [...ENVELOPE, last('x'.repeat(101)), ...AGAIN],
      'by far': [...ENVELOPE, chunk('x'.repeat(1000)), chunk('x'.repeat(9000)), END, QUIT],
      'the second': [...ENVELOPE, chunk(`${'x'.repeat(88)}\r\n`), chunk('y'.repeat(11)), END, QUIT],
      'with its line end': [...ENVELOPE, last('x'.repeat(99)), QUIT],
      'as big as may be': [...ENVELOPE, last('x'.repeat(98)), QUIT],
      'with its many line ends': [
        ...ENVELOPE,
        chunk('x\n'.repeat(50)),
        chunk('abc'),
        TO,
        END,
        ...AGAIN,
      ],
      'without a transaction': [EHLO, chunk('x'.repeat(151)), QUIT],
      'by the way it is counted': [
        ...ENVELOPE,
        chunk('x\n'.repeat(15)),
        chunk('x\n'.repeat(15)),
        chunk('x\n'.repeat(15)),
        END,
        QUIT,
      ],
    },
  },
  'chunks with bare line feeds': {
    main: { smtpd_forbid_bare_newline: 'reject', smtpd_forbid_bare_newline_exclusions: '' },
    sessions: {
      'in the last': [...ENVELOPE, last('a: b\n\nc\r\n'), ...AGAIN],
      'in the first': [...ENVELOPE, chunk('a\r\n\n'), chunk('a\r\n'), TO, FROM, END, ...AGAIN],
      'across two': [...ENVELOPE, chunk('a'), chunk('\n'), END, QUIT],
      'none across two': [...ENVELOPE, chunk('a\r'), chunk('\n'), END, QUIT],
      'in a command after two recipients': [
        ...ENVELOPE,
        'RCPT TO:<known@box.test>',
        send('NOOP\n'),
        'await end',
      ],
      'in a command after three, one of them refused': [
        ...ENVELOPE,
        'RCPT TO:<nobody-here@lab.test>',
        send('NOOP\n'),
        'await end',
      ],
      'in the command': [...ENVELOPE, send('BDAT 4 LAST\na\r\n\n'), 'await end'],
    },
  },
  'chunks with bare line feeds that are normalized': {
    main: { smtpd_forbid_bare_newline: 'normalize', smtpd_forbid_bare_newline_exclusions: '' },
    sessions: { 'in a message': [...ENVELOPE, last('a: b\n\n.\nc\r\n.\r\n'), QUIT] },
  },
  'chunks of a client that is refused': {
    main: { smtpd_data_restrictions: 'reject' },
    sessions: {
      'at the first': [...ENVELOPE, chunk('abc'), last('abc'), FROM, QUIT],
      'at the last': [...ENVELOPE, last('abc'), FROM, QUIT],
    },
  },
  'chunks of a client that is refused at their end': {
    main: { smtpd_end_of_data_restrictions: 'reject' },
    sessions: { 'at the last': [...ENVELOPE, chunk('abc'), last('abc'), QUIT] },
  },
  'chunks and errors': {
    main: { smtpd_hard_error_limit: '4' },
    sessions: {
      'too many': [
        EHLO,
        chunk('abc'),
        chunk('abc'),
        chunk('abc'),
        send(bytesOf('abc'), 2),
        'await end',
      ],
      'forgiven with the last': [
        EHLO,
        'FOO',
        FROM,
        TO,
        chunk('abc'),
        'FOO',
        'FOO',
        last('a\r\n'),
        ...['FOO', 'FOO', 'FOO', QUIT],
      ],
    },
  },
  'chunks and soft_bounce': {
    main: { soft_bounce: 'yes' },
    sessions: { all: [EHLO, chunk('abc'), chunk(''), last('abc'), 'BDAT', 'await end'] },
  },
  'no chunks': {
    main: { smtpd_discard_ehlo_keywords: 'chunking' },
    sessions: {
      'before HELO': ['BDAT 3', 'await end'],
      'after HELO': ['HELO x', 'BDAT 3 LAST', 'await end'],
      'after EHLO': [EHLO, 'BDAT 3 LAST', 'await end'],
    },
  },
  'chunks by address': {
    main: { smtpd_discard_ehlo_keyword_address_maps: 'texthash:$config_directory/ehlo' },
    sessions: {
      'one of us': [...ENVELOPE, last('a\r\n'), QUIT],
      'a stranger': { from: '127.0.0.5', steps: [EHLO, 'BDAT 3', 'await end'] },
    },
  },
} satisfies Record<string, Setting>;
