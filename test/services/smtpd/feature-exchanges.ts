/** What is offered and what is not: EHLO keywords, commands of our own, VERP, soft bounces. */
import type { Settings } from './compare.ts';
import { send } from './dialogue.ts';
import { addresses, content, EHLO, ENVELOPE, FROM, MESSAGE, QUIT, stranger, TO } from './steps.ts';

export const FEATURE_SETTINGS: Settings = {
  'soft bounces': {
    main: { soft_bounce: 'yes' },
    sessions: {
      errors: [
        'FOO',
        EHLO,
        'RSET x',
        'ETRN',
        'ETRN a b',
        'DATA',
        FROM,
        'DATA',
        'RCPT TO:<nobody-here@lab.test>',
        'RCPT TO:<>',
        'MAIL FROM:<x>',
        'STARTTLS',
        TO,
        'DATA',
        content(`${'Received: from x by y; today\r\n'.repeat(51)}\r\nhello`),
        QUIT,
      ],
      'a stranger': stranger(...addresses('someone@far.test')),
    },
  },
  'few features': {
    main: {
      disable_vrfy_command: 'yes',
      smtpd_discard_ehlo_keywords: 'chunking, DSN etrn, size, enhancedStatusCodes, smtputf8',
      smtpd_banner: '$myhostname says hello',
      smtpd_client_port_logging: 'no',
    },
    sessions: {
      EHLO: [EHLO, QUIT],
      VRFY: [EHLO, 'VRFY', 'VRFY root', QUIT],
      DSN: [
        EHLO,
        'MAIL FROM:<a@client.test> RET=FULL',
        'MAIL FROM:<a@client.test> ENVID=x',
        'MAIL FROM:<a@client.test> SMTPUTF8',
        'MAIL FROM:<a@client.test> SIZE=1',
        'RCPT TO:<root@lab.test> NOTIFY=NEVER',
        'RCPT TO:<root@lab.test> ORCPT=rfc822;x',
        'ETRN lab.test',
        QUIT,
      ],
      'DSN before EHLO': ['HELO a.test', 'MAIL FROM:<a@client.test> RET=FULL', QUIT],
    },
  },
  'features that are left out': {
    main: { smtpd_discard_ehlo_keywords: 'CHUNKING pipelining, vrfy 8bitmime dsn' },
    sessions: { EHLO: [EHLO, 'VRFY root', 'MAIL FROM:<a@client.test> BODY=8BITMIME', QUIT] },
  },
  'nothing to offer': {
    main: {
      smtpd_discard_ehlo_keywords:
        'chunking pipelining size vrfy etrn enhancedstatuscodes 8bitmime dsn smtputf8 silent-discard',
    },
    sessions: { EHLO: [EHLO, 'NOOP', QUIT] },
  },
  'features by address': {
    main: { smtpd_discard_ehlo_keyword_address_maps: 'texthash:$config_directory/ehlo' },
    sessions: { 'one of us': [EHLO, QUIT], 'a stranger': stranger(EHLO, QUIT) },
  },
  'features that nobody knows': {
    main: { smtpd_discard_ehlo_keyword_address_maps: 'fail:always' },
    sessions: { HELO: ['HELO a.test', QUIT], EHLO: [EHLO] },
  },
  'commands of our own': {
    main: {
      smtpd_noop_commands: 'foo, ETRN',
      smtpd_forbidden_commands: 'CONNECT bar static:never',
      smtpd_junk_command_limit: '2',
      smtpd_hard_error_limit: '2',
    },
    sessions: {
      ignored: ['FOO', 'foo x', 'ETRN x', 'etrn', 'FOO', send('FOO\r\n', 2), 'await end'],
    },
  },
  'other forbidden commands': {
    main: { smtpd_forbidden_commands: 'CONNECT bar' },
    sessions: {
      forbidden: ['BAR x'],
      'not forbidden': ['GET /', '220 x', QUIT],
    },
  },
  VERP: {
    main: { smtpd_authorized_verp_clients: '127.0.0.1', verp_delimiter_filter: '-+=' },
    sessions: {
      'one of us': [
        EHLO,
        'MAIL FROM:<a@client.test> XVERP',
        'RSET',
        'MAIL FROM:<a@client.test> XVERP=+=',
        'RSET',
        'MAIL FROM:<a@client.test> XVERP=+',
        'MAIL FROM:<a@client.test> XVERP=xy',
        'MAIL FROM:<a@client.test> XVERP=',
        'MAIL FROM:<> XVERP',
        'MAIL FROM:<a@client.test> XVERP=+=',
        TO,
        'DATA',
        MESSAGE,
        QUIT,
      ],
      'a stranger': stranger(EHLO, 'MAIL FROM:<a@client.test> XVERP', QUIT),
    },
  },
  'a queue file for each sender': {
    main: { smtpd_delay_open_until_valid_rcpt: 'no' },
    sessions: {
      'a message': [
        EHLO,
        FROM,
        'RCPT TO:<nobody-here@lab.test>',
        'DATA',
        TO,
        'DATA',
        MESSAGE,
        QUIT,
      ],
      'no recipient': [EHLO, FROM, 'RSET', FROM],
    },
  },
  'clients with names': {
    main: { smtpd_peername_lookup: 'yes' },
    sessions: { localhost: [...ENVELOPE, 'RCPT TO:<nobody-here@lab.test>', 'DATA', MESSAGE, QUIT] },
  },
};
