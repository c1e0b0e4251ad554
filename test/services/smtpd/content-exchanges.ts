/** Messages, whole and usual, and with content that is not. */
import type { Sessions } from './compare.ts';
import { send } from './dialogue.ts';
import { content, EHLO, ENVELOPE, FROM, MESSAGE, QUIT, TO } from './steps.ts';

export const CONTENT_SESSIONS: Sessions = {
  'a message': [...ENVELOPE, 'DATA', MESSAGE, QUIT],
  'two messages': [...ENVELOPE, 'DATA', MESSAGE, FROM, TO, 'DATA', MESSAGE, QUIT],
  'a message from nobody': [EHLO, 'MAIL FROM:<>', TO, 'DATA', MESSAGE, QUIT],
  'several recipients': [
    ...ENVELOPE,
    'RCPT TO:<postmaster@lab.test>',
    'RCPT TO:<nobody-here@lab.test>',
    'DATA',
    MESSAGE,
    QUIT,
  ],
  'content with dots': [...ENVELOPE, 'DATA', content('.\r\n..\r\n...a\r\n.b'), QUIT],
  'content with long lines': [...ENVELOPE, 'DATA', content(`a\r\n\r\n${'x'.repeat(10000)}`), QUIT],
  'content with NULs and 8 bits': [...ENVELOPE, 'DATA', content('a: b\r\n\r\n\0\xff\xe9'), QUIT],
  'no content': [...ENVELOPE, 'DATA', send('.\r\n'), QUIT],
  'content that loops': [
    ...ENVELOPE,
    'DATA',
    content(`${'Received: from x by y; today\r\n'.repeat(51)}\r\nhello`),
    QUIT,
  ],
};
