/** Where lines end, and how many come at once: bare line feeds, pipelines, clients out of step. */
import type { Sessions, Settings } from './compare.ts';
import { send } from './dialogue.ts';
import { EHLO, ENVELOPE, FROM, MESSAGE, QUIT, stranger, TO } from './steps.ts';

export const FRAMING_SESSIONS: Sessions = {
  'content in pieces': [
    ...ENVELOPE,
    'DATA',
    send('Subject: x\r\n\r', 0),
    send('\nhello\r\n', 0),
    send('.', 0),
    send('\r\n'),
    QUIT,
  ],
  'content with bare line feeds': [...ENVELOPE, 'DATA', send('a: b\n\nhello\n.\n'), QUIT],
  'a command with a bare line feed': [send('EHLO client.test\n'), send('RSET\n'), send('QUIT\n')],
  'two commands with CR LF and LF': [send('EHLO client.test\r\nRSET\nNOOP\r\n', 3), QUIT],
  'a bare CR': [send('NOOP a\rb\r\n'), send('RSET\r\r\n'), send('RSET \r\r\r\n'), QUIT],
  pipelining: [
    EHLO,
    send(`${FROM}\r\n${TO}\r\nDATA\r\n`, 3),
    MESSAGE,
    send(`${FROM}\r\n${TO}\r\n${TO}\r\nRSET\r\nQUIT\r\n`, 5),
  ],
  'the next message behind the last': [
    EHLO,
    send(`${FROM}\r\n${TO}\r\nDATA\r\n`, 3),
    send(`a: b\r\n\r\nc\r\n.\r\n${FROM}\r\n${TO}\r\nDATA\r\n`, 4),
    send(`a: b\r\n\r\nc\r\n.\r\nQUIT\r\n`, 2),
  ],
  'pipelining after HELO': [send('HELO client.test\r\nMAIL FROM:<a@b.test>\r\n', 2), QUIT],
  'pipelining in SMTP': ['HELO client.test', send(`${FROM}\r\n${TO}\r\n`, 2), QUIT],
  'pipelining after EHLO': [send(`${EHLO}\r\n${FROM}\r\n`, 2), send('NOOP\r\nNOOP\r\n', 2), QUIT],
  'pipelining after DATA': [
    ...ENVELOPE,
    send('DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n', 2),
    send('VRFY root\r\nVRFY root\r\n', 2),
    QUIT,
  ],
  'pipelining after a refused DATA': [EHLO, send('DATA\r\nfoo\r\n', 2), QUIT],
  'pipelining before QUIT': [EHLO, send('QUIT\r\nNOOP\r\n', 1)],
  'pipelining after an unknown command': [EHLO, send('FOO\r\nBAR\r\n', 2), QUIT],
  'pipelined bytes with special characters': [
    send('HELO client.test\r\nNOOP \t\x07"\\\xc3\xa9\r\n', 2),
    QUIT,
  ],
  'more pipelined bytes than the log shows': [
    send(`HELO client.test\r\n${'NOOP\r\n'.repeat(30)}`, 31),
    QUIT,
  ],
  'a client that says all and waits': [
    EHLO,
    FROM,
    send(`${TO}\r\nDATA\r\n`, 2),
    send('a: b\r\n\r\nc\r\n.\r\nQUIT\r\n', 0),
    'half-close',
    'await end',
  ],
};

export const FRAMING_SETTINGS: Settings = {
  'bare newlines normalized': {
    main: { smtpd_forbid_bare_newline: 'yes', smtpd_forbid_bare_newline_exclusions: '' },
    sessions: {
      commands: [send('EHLO client.test\n'), send('NOOP\n'), QUIT],
      content: [...ENVELOPE, 'DATA', send('a: b\n\nhello\n.\nNOOP\r\n.\n.\r\n\r\n.\r\n'), QUIT],
      'a message inside': [
        ...ENVELOPE,
        'DATA',
        send('a: b\r\n\r\nhello\n.\r\nMAIL FROM:<x@y.test>\r\n.\r\n'),
        QUIT,
      ],
    },
  },
  'bare newlines normalized, with exceptions': {
    main: { smtpd_forbid_bare_newline: 'normalize' },
    sessions: {
      'one of us': [...ENVELOPE, 'DATA', send('a: b\n\nhello\n.\n'), QUIT],
      'a stranger': stranger(...ENVELOPE, 'DATA', send('a: b\n\nhello\n.\n\r\n.\r\n'), QUIT),
    },
  },
  'bare newlines refused': {
    main: { smtpd_forbid_bare_newline: 'reject' },
    sessions: {
      'one of us': [send('EHLO client.test\n'), FROM, TO, 'DATA', send('a: b\n\nc\n.\n'), QUIT],
      'the first command of a stranger': stranger(send('EHLO client.test\n')),
      'a later command of a stranger': stranger(EHLO, FROM, send('RSET\n')),
      'an empty line of a stranger': stranger(EHLO, send('\n')),
      'an unknown command of a stranger': stranger(send('FOO\n')),
      'content of a stranger': stranger(
        ...ENVELOPE,
        'DATA',
        send('a: b\r\n\r\nhello\nworld\r\n.\n\r\n.\r\n'),
        FROM,
        QUIT,
      ),
    },
  },
  'bare newlines refused with 521': {
    main: { smtpd_forbid_bare_newline: 'reject', smtpd_forbid_bare_newline_reject_code: '521' },
    sessions: {
      'content of a stranger': stranger(...ENVELOPE, 'DATA', send('a: b\n\r\nhello\r\n.\r\n')),
    },
  },
  'out of step': {
    main: { smtpd_forbid_unauth_pipelining: 'yes' },
    sessions: {
      'a pipeline': [EHLO, send(`${FROM}\r\n${TO}\r\nDATA\r\n`, 3), MESSAGE, QUIT],
      'after EHLO': [send(`${EHLO}\r\nNOOP\r\n`, 1), 'await end'],
      'after HELO': [send('HELO a.test\r\nNOOP\r\n', 1), 'await end'],
      'in SMTP': ['HELO a.test', send(`${FROM}\r\n${TO}\r\n`, 1), 'await end'],
      'after DATA': [...ENVELOPE, send('DATA\r\nhello\r\n', 1), 'await end'],
      'after NOOP': [EHLO, send('NOOP\r\nNOOP\r\n', 1), 'await end'],
      'after VRFY': [EHLO, send('VRFY root\r\nNOOP\r\n', 1), 'await end'],
      'after ETRN': [EHLO, send('ETRN lab.test\r\nNOOP\r\n', 2), QUIT],
      'after RSET': [EHLO, send('RSET\r\nNOOP\r\n', 2), QUIT],
      'after QUIT': [EHLO, send('QUIT\r\nNOOP\r\n', 1), 'await end'],
      'after an unknown command': [EHLO, send('FOO\r\nNOOP\r\n', 2), QUIT],
      'after XFORWARD': [EHLO, send('XFORWARD NAME=x\r\nXCLIENT NAME=x\r\nRSET\r\n', 3), QUIT],
      'after STARTTLS': [EHLO, send('STARTTLS\r\nNOOP\r\n', 2), QUIT],
      'after AUTH': [EHLO, send('AUTH PLAIN\r\nNOOP\r\n', 2), QUIT],
    },
  },
};

/** Clients that talk before the greeting: they come while the only process has another client. */
export const TALKING_FIRST: Settings = {
  'talking first': {
    main: {},
    sessions: { EHLO: { queued: true, steps: [send(`${EHLO}\r\n`, 2), FROM, QUIT] } },
  },
  'talking first, out of step': {
    main: { smtpd_forbid_unauth_pipelining: 'yes' },
    sessions: { EHLO: { queued: true, steps: [send(`${EHLO}\r\n`, 1), 'await end'] } },
  },
};
