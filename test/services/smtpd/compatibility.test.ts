/** What smtpd does only because of an old compatibility_level, it says: as Postfix's smtpd. */
import { test } from 'node:test';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { compareServers, type Setting, type Settings } from './compare.ts';
import { send } from './dialogue.ts';

const HELLO = ['EHLO client.test', 'MAIL FROM:<ann@client.test>'];
const to = (...addresses: string[]) => [...HELLO, ...addresses.map((each) => `RCPT TO:<${each}>`)];
const BARRIER = 'permit_mynetworks, reject_unauth_destination';
const STRANGER = '127.9.9.9';

/** What parent domains match. */
const withAccess = (level: string): Setting => ({
  main: {
    compatibility_level: level,
    mynetworks: '127.0.0.1',
    smtpd_recipient_restrictions:
      'check_recipient_access inline:{x.test=REJECT lab.test=REJECT far.test=OK}',
  },
  sessions: {
    relay: {
      from: STRANGER,
      steps: to('x@far.test', 'x@x.test', 'root@lab.test', 'x@sub.lab.test', 'x@other.test'),
    },
    ours: to('x@far.test', 'x@x.test', 'root@lab.test', 'x@sub.lab.test'),
  },
});

const DEFAULTS: Settings = {
  'level 0': {
    main: { compatibility_level: '0', smtpd_recipient_restrictions: BARRIER },
    sessions: {
      'of the own machine': to('x@sub.lab.test', 'x@far.test', 'root@lab.test'),
      'of a neighbour': { from: STRANGER, steps: to('x@far.test', 'root@lab.test') },
      ETRN: ['EHLO x.test', 'ETRN sub.lab.test', 'ETRN lab.test', 'ETRN far.test'],
      'non-ASCII': [
        'EHLO x.test',
        send('MAIL FROM:<\xc3\xa9@client.test>\r\n'),
        send('RCPT TO:<\xc3\xa9@lab.test>\r\n'),
        send('VRFY \xc3\xa9@lab.test\r\n'),
      ],
    },
  },
  'level 0, host': {
    main: {
      compatibility_level: '0',
      mynetworks: '127.0.0.1',
      smtpd_recipient_restrictions: 'permit_mx_backup, reject_unauth_destination, reject',
    },
    sessions: {
      'relay domains': { from: STRANGER, steps: to('x@sub.lab.test', 'x@lab.test', 'x@far.test') },
    },
  },
  'level 0, no barrier at relay': {
    main: {
      compatibility_level: '0',
      mynetworks: '127.0.0.1',
      smtpd_recipient_restrictions:
        'check_recipient_access inline:{far.test=OK x.test=REJECT}, reject_unauth_destination',
    },
    sessions: {
      relay: {
        from: STRANGER,
        steps: to('x@far.test', 'x@x.test', 'root@lab.test', 'x@sub.lab.test', 'x@other.test'),
      },
      ours: to('x@far.test', 'x@x.test', 'root@lab.test'),
    },
  },
  'level 1': withAccess('1'),
  'level 3.5': withAccess('3.5'),
  'level 3.6': {
    main: {
      compatibility_level: '3.6',
      smtpd_recipient_restrictions: BARRIER,
    },
    sessions: {
      relay: {
        from: STRANGER,
        steps: to('x@far.test', 'x@x.test', 'root@lab.test', 'x@sub.lab.test'),
      },
    },
  },
};

test(
  'backwards-compatible defaults are named where they decide',
  { skip: whyNoPostfix(), concurrency: 4 },
  (t) =>
    compareServers(t, DEFAULTS, {
      common: { compatibility_level: undefined, mynetworks: undefined, relay_domains: undefined },
    }),
);
