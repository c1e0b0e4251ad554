/** Errors, recipients, bytes, time and clients: when there are too many of them. */
import type { Settings } from './compare.ts';
import { send } from './dialogue.ts';
import { content, EHLO, ENVELOPE, FROM, MESSAGE, QUIT, senders, TO } from './steps.ts';

export const LIMIT_SETTINGS: Settings = {
  'few errors': {
    main: {
      smtpd_soft_error_limit: '2',
      smtpd_hard_error_limit: '3',
      smtpd_junk_command_limit: '2',
    },
    sessions: {
      errors: ['FOO', 'BAR', 'BAZ', 'await end'],
      'errors together': [send('FOO\r\nBAR\r\nBAZ\r\nFOO\r\nBAR\r\n', 4), 'await end'],
      'empty lines': [send('\r\n'), send('\r\n'), send('\r\n', 2), 'await end'],
      'bytes that are no UTF-8': [send('\xff\r\n'), send('\xff\r\n'), send('\xff\r\n', 2)],
      'unknown recipients': [
        EHLO,
        FROM,
        'RCPT TO:<nobody-here@lab.test>',
        'RCPT TO:<nobody-here@lab.test>',
        send('RCPT TO:<nobody-here@lab.test>\r\n', 2),
        'await end',
      ],
      junk: ['NOOP', 'RSET', 'VRFY root', 'NOOP', 'NOOP', send('NOOP\r\n', 2), 'await end'],
      'junk forgiven by a message': [
        'EHLO x.test',
        'NOOP',
        'RSET',
        'NOOP',
        FROM,
        TO,
        'DATA',
        MESSAGE,
        'NOOP',
        'NOOP',
        'NOOP',
        'NOOP',
        'NOOP',
        send('NOOP\r\n', 2),
        'await end',
      ],
      'an error at the end of content': [
        'FOO',
        'FOO',
        FROM,
        TO,
        'DATA',
        send(`${'Received: from x by y; today\r\n'.repeat(51)}\r\nhello\r\n.\r\n`, 2),
        'await end',
      ],
      'a QUIT after the errors': ['FOO', 'FOO', QUIT],
    },
  },
  'few recipients': {
    main: {
      smtpd_recipient_limit: '2',
      smtpd_recipient_overshoot_limit: '1',
      smtpd_hard_error_limit: '4',
    },
    sessions: {
      'five recipients': [
        ...ENVELOPE,
        'RCPT TO:<nobody-here@lab.test>',
        TO,
        TO,
        TO,
        TO,
        'DATA',
        MESSAGE,
        QUIT,
      ],
      'too many errors': [...ENVELOPE, TO, TO, TO, TO, TO, send(`${TO}\r\n`, 2), 'await end'],
    },
  },
  'small messages': {
    main: { message_size_limit: '1000', line_length_limit: '512', header_size_limit: '200' },
    sessions: {
      EHLO: [EHLO, QUIT],
      SIZE: senders('FROM:<a@client.test> SIZE=1000', 'FROM:<a@client.test> SIZE=1001'),
      'a message that is too big': [
        ...ENVELOPE,
        'DATA',
        content(`a: b\r\n\r\n${'0123456789\r\n'.repeat(100)}`),
        FROM,
        QUIT,
      ],
      'a header that is too big': [
        ...ENVELOPE,
        'DATA',
        content(`a: ${'x'.repeat(400)}\r\n\r\nhello`),
        QUIT,
      ],
      'a long line': [`NOOP ${'x'.repeat(1000)}`, QUIT],
    },
  },
  'messages of any size': {
    main: { message_size_limit: '0' },
    sessions: {
      EHLO: [EHLO, QUIT],
      SIZE: senders('FROM:<a@client.test> SIZE=9999999999', 'FROM:<a@client.test> SIZE=0'),
      'a message': [...ENVELOPE, 'DATA', MESSAGE, QUIT],
    },
  },
  'a full disk': {
    main: { queue_minfree: '9000000000000000' },
    sessions: { 'a sender': senders('FROM:<a@client.test>', 'FROM:<a@client.test> SIZE=10') },
  },
  'little time': {
    // Whoever still has something to say does so at once.
    main: { smtpd_timeout: '3s' },
    sessions: {
      nothing: ['await end'],
      EHLO: [EHLO, 'await end'],
      'half a command': [EHLO, send('MAIL', 0), 'await end'],
      'no content': [...ENVELOPE, 'DATA', 'await end'],
      'half a message': [...ENVELOPE, 'DATA', send('a: b\r\n\r\nhello\r\nwor', 0), 'await end'],
      'after a message': [...ENVELOPE, 'DATA', MESSAGE, 'await end'],
      'an unknown command': ['FOO', 'await end'],
    },
  },
  'few messages': {
    main: { smtpd_client_message_rate_limit: '1' },
    sessions: {
      'counted after its syntax': {
        from: '127.0.0.7',
        steps: ['MAIL', EHLO, 'MAIL', FROM, FROM, 'RSET', FROM, 'MAIL FROM:<a b>', 'MAIL', QUIT],
      },
      'what is refused counts': {
        from: '127.0.0.8',
        steps: [EHLO, 'MAIL FROM:<a b>', FROM, `${FROM} FOO=1`, TO, QUIT],
      },
      'counted from session to session': { from: '127.0.0.8', steps: [EHLO, FROM, QUIT] },
      'not for our own clients': [EHLO, FROM, 'RSET', FROM, 'RSET', FROM, QUIT],
    },
  },
  'few recipients at a time': {
    main: {
      smtpd_client_recipient_rate_limit: '2',
      smtpd_recipient_limit: '1',
      smtpd_soft_error_limit: '100',
    },
    sessions: {
      'counted after its syntax': {
        from: '127.0.0.7',
        steps: [TO, EHLO, FROM, 'RCPT', TO, 'RCPT TO:<a b>', TO, 'RCPT TO:<a b>', 'RCPT', QUIT],
      },
      'beyond another limit': { from: '127.0.0.8', steps: [EHLO, FROM, TO, TO, TO, TO, QUIT] },
      VRFY: {
        from: '127.0.0.9',
        steps: [
          EHLO,
          'VRFY',
          'VRFY a b',
          'VRFY root@lab.test',
          'VRFY root',
          'VRFY',
          FROM,
          TO,
          QUIT,
        ],
      },
      'not for our own clients': [EHLO, FROM, TO, 'RSET', FROM, TO, 'RSET', FROM, TO, QUIT],
    },
  },
  'few log-ins': {
    main: { smtpd_client_auth_rate_limit: '1', smtpd_helo_required: 'yes' },
    sessions: {
      'without AUTH': { from: '127.0.0.7', steps: ['AUTH', EHLO, 'AUTH PLAIN', 'AUTH', QUIT] },
    },
  },
  'few connections': {
    main: {
      smtpd_client_connection_rate_limit: '1',
      smtpd_client_event_limit_exceptions: '127.0.0.8',
      smtpd_recipient_limit: '1',
    },
    sessions: {
      'the first': { from: '127.0.0.7', steps: [EHLO, QUIT] },
      'the second': { from: '127.0.0.7', steps: ['await end'] },
      'the third': { from: '127.0.0.7', steps: ['await end'] },
      'one that is excused': { from: '127.0.0.8', steps: [EHLO, QUIT] },
      'again excused': { from: '127.0.0.8', steps: [EHLO, QUIT] },
    },
  },
};
