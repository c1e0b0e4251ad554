/** What refusals end with, and soft_bounce with it: the same as Postfix's. */
import { test } from 'node:test';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { compareServers } from './compare.ts';
import type { Step } from './dialogue.ts';

const STEPS: readonly Step[] = [
  'EHLO client.test',
  'FOO',
  'ETRN -bad',
  'MAIL FROM:<ann@client.test>',
  'RCPT TO:<user@far.test>',
  'RCPT TO:<nobody-here@lab.test>',
  'DATA',
  'VRFY nobody-here',
  'MAIL FROM:<again@client.test>',
  'RCPT TO:<root@lab.test>',
  'QUIT',
];
const stranger = { from: '127.0.0.5', steps: STEPS };

const MACROS =
  '$client|$client_address|$client_name|$reverse_client_name|$helo_name|' +
  '$sender|$sender_name|$sender_domain|$recipient|$recipient_name|$recipient_domain|' +
  '$server_name|${nothing?never}|${helo_name?helo}';

const footer = (smtpd_reject_footer: string, more = {}) => ({
  main: { smtpd_reject_footer, ...more },
  sessions: { all: stranger },
});

test('refusals end as in Postfix', { skip: whyNoPostfix() }, (t) =>
  compareServers(t, {
    'a line of its own': footer('Call 555-1234'),
    'on the same line': footer('\\c. Call 555-1234'),
    'several lines': footer('Footer \\n second line \\nthird'),
    'several lines, from the same one': footer('\\c. Call \\n or write \\n'),
    macros: footer(MACROS),
    'with soft_bounce': footer('\\c - later', { soft_bounce: 'yes' }),
    'from a table': footer('others', {
      smtpd_reject_footer_maps: 'regexp:{{/Relay access denied/ \\c: see our policy}}',
    }),
    'refused at once': {
      main: {
        smtpd_reject_footer: '\\c; go away',
        smtpd_delay_reject: 'no',
        smtpd_client_restrictions: 'reject',
      },
      sessions: { all: stranger },
    },
    'codes of all kinds': {
      main: {
        soft_bounce: 'yes',
        unknown_local_recipient_reject_code: '551',
        relay_domains_reject_code: '571',
      },
      sessions: { all: stranger },
    },
  }),
);
