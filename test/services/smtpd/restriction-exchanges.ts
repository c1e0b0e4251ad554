/** Restriction lists: when they are asked, and what they refuse. SMTPD_ACCESS_README. */
import type { Settings } from './compare.ts';
import { send } from './dialogue.ts';
import { addresses, EHLO, ENVELOPE, FROM, MESSAGE, QUIT, senders, stranger, TO } from './steps.ts';

export const RESTRICTION_SETTINGS: Settings = {
  'delayed restrictions': {
    main: {
      smtpd_client_restrictions: 'permit_mynetworks, reject',
      smtpd_helo_restrictions: 'reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname',
      smtpd_sender_restrictions: 'reject_non_fqdn_sender',
      smtpd_recipient_restrictions: 'reject_non_fqdn_recipient, reject_unauth_destination',
      smtpd_data_restrictions: 'reject_unauth_pipelining, reject_multi_recipient_bounce',
      smtpd_etrn_restrictions: 'permit_mynetworks, reject',
    },
    sessions: {
      'a message': [...ENVELOPE, 'DATA', MESSAGE, QUIT],
      'a stranger': stranger(EHLO, FROM, TO, 'VRFY root', 'RSET', 'ETRN lab.test', 'DATA', QUIT),
      'bad HELO names': [
        FROM,
        TO,
        'RSET',
        ...[
          'bad_name.',
          'bad..name',
          '-bad.name',
          '[127.0.0.1]',
          '[127.0.0]',
          '[IPv6:::1]',
          '[]',
          'client',
          '127.0.0.1',
          'a.b',
          'client.test.',
          'client.',
          'bad!name.test',
          'caf\xc3\xa9.test',
        ].flatMap((name) => [`EHLO ${name}`, FROM, TO, 'VRFY root', 'ETRN relay.test']),
        QUIT,
      ],
      'bad senders': [
        EHLO,
        ...[
          '<a>',
          '<>',
          '<a@client>',
          '<a@client.test.>',
          '<a@[127.0.0.1]>',
          '<postmaster>',
          '<a@b.c>',
        ].flatMap((address) => [`MAIL FROM:${address}`, TO, 'RSET']),
        QUIT,
      ],
      'bad recipients': addresses(
        'root',
        'root@lab',
        'root@lab.test.',
        'root@[127.0.0.1]',
        'postmaster',
        'someone@far',
        'someone@far.test',
        'root%lab.test',
        'root@lab.test',
      ),
      'a bounce to one': [EHLO, 'MAIL FROM:<>', TO, 'DATA', MESSAGE, QUIT],
      'a bounce to two': [
        EHLO,
        'MAIL FROM:<>',
        TO,
        'RCPT TO:<postmaster@lab.test>',
        'DATA',
        'RSET',
        QUIT,
      ],
      'pipelined content': [...ENVELOPE, send('DATA\r\nfoo\r\n.\r\n', 3), QUIT],
      ETRN: [EHLO, 'ETRN relay.test', QUIT],
    },
  },
  'restrictions at once': {
    main: {
      smtpd_delay_reject: 'no',
      smtpd_client_restrictions: 'permit_mynetworks, reject',
      smtpd_helo_restrictions: 'reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname',
      smtpd_sender_restrictions: 'reject_non_fqdn_sender',
      smtpd_recipient_restrictions: 'reject_non_fqdn_recipient, reject_unauth_destination',
      smtpd_etrn_restrictions: 'reject',
    },
    sessions: {
      'a message': [...ENVELOPE, 'DATA', MESSAGE, QUIT],
      'a stranger': stranger(EHLO, FROM, 'FOO', 'NOOP', 'VRFY root', send('\r\n'), 'Subject: x'),
      'a stranger who leaves': stranger(QUIT),
      'a stranger who hangs up': stranger('RSET'),
      'bad HELO names': [
        'EHLO bad..name',
        FROM,
        TO,
        'EHLO client.test',
        TO,
        FROM,
        'HELO client',
        TO,
        QUIT,
      ],
      'bad senders': [EHLO, 'MAIL FROM:<a>', TO, 'MAIL FROM:<a@client.test>', TO, QUIT],
      'bad recipients': addresses('root', 'root@lab', 'someone@far.test', 'root@lab.test'),
      ETRN: [EHLO, 'ETRN relay.test', QUIT],
      VRFY: [EHLO, 'VRFY root', 'VRFY root@lab.test', QUIT],
    },
  },
  'refused at the door': {
    main: { smtpd_delay_reject: 'no', smtpd_client_restrictions: 'defer', defer_code: '421' },
    sessions: { 'a client': ['await end'] },
  },
  'refused with 521': {
    main: { smtpd_recipient_restrictions: 'reject', reject_code: '521' },
    sessions: { 'a recipient': ENVELOPE },
  },
  'deferred to the end': {
    main: {
      smtpd_client_restrictions: 'defer_if_permit',
      smtpd_recipient_restrictions: 'reject_non_fqdn_recipient',
    },
    sessions: {
      recipients: addresses('root@lab.test', 'root', 'someone@far.test', 'postmaster'),
      VRFY: [EHLO, 'VRFY root@lab.test', QUIT],
      ETRN: [EHLO, 'ETRN relay.test', QUIT],
    },
  },
  'deferred at once to the end': {
    main: {
      smtpd_delay_reject: 'no',
      smtpd_helo_restrictions: 'reject_invalid_helo_hostname, defer_if_permit',
      smtpd_sender_restrictions: 'reject_non_fqdn_sender',
    },
    sessions: {
      'a message': [...ENVELOPE, 'DATA', 'RSET', 'HELO bad..name', FROM, TO, QUIT],
      'without HELO': [FROM, TO, 'RSET', QUIT],
      ETRN: [EHLO, 'ETRN relay.test', QUIT],
    },
  },
  'deferred when refused': {
    main: {
      smtpd_client_restrictions: 'defer_if_reject',
      smtpd_recipient_restrictions: 'reject_non_fqdn_recipient',
    },
    sessions: {
      recipients: addresses('root@lab.test', 'root@lab', 'nobody-here@lab.test', 'postmaster'),
    },
  },
  'only warned': {
    main: {
      smtpd_client_restrictions: 'warn_if_reject reject',
      smtpd_recipient_restrictions: 'warn_if_reject reject_non_fqdn_recipient, permit_mynetworks',
      smtpd_data_restrictions: 'warn_if_reject reject',
    },
    sessions: {
      'a message': [...ENVELOPE, 'RCPT TO:<root>', 'DATA', MESSAGE, QUIT],
      'a stranger': stranger(EHLO, FROM, 'RCPT TO:<someone@far.test>', TO, 'DATA', MESSAGE, QUIT),
    },
  },
  'content refused before it comes': {
    main: { smtpd_data_restrictions: 'reject' },
    sessions: {
      'one recipient': [...ENVELOPE, 'DATA', TO, 'DATA', 'RSET', QUIT],
      'two recipients': [...ENVELOPE, 'RCPT TO:<postmaster@lab.test>', 'DATA', QUIT],
    },
  },
  'content refused when it has come': {
    main: { smtpd_end_of_data_restrictions: 'reject' },
    sessions: {
      'one recipient': [...ENVELOPE, 'DATA', MESSAGE, 'RSET', FROM, QUIT],
      'two recipients': [...ENVELOPE, 'RCPT TO:<postmaster@lab.test>', 'DATA', MESSAGE, QUIT],
    },
  },
  'content deferred when it has come': {
    main: { smtpd_end_of_data_restrictions: 'defer', soft_bounce: 'yes' },
    sessions: { 'one recipient': [...ENVELOPE, 'DATA', MESSAGE, QUIT] },
  },
  'tables kept secret': {
    main: {
      show_user_unknown_table_name: 'no',
      unknown_local_recipient_reject_code: '450',
      unknown_relay_recipient_reject_code: '451',
      unknown_virtual_alias_reject_code: '452',
      unknown_virtual_mailbox_reject_code: '553',
    },
    sessions: {
      'unknown recipients': addresses(
        'nobody-here@lab.test',
        'unknown@relay.test',
        'unknown@alias.test',
        'unknown@box.test',
        'someone@bad.far.test',
      ),
    },
  },
  'unlisted senders': {
    main: { smtpd_reject_unlisted_sender: 'yes', smtpd_reject_unlisted_recipient: 'no' },
    sessions: {
      senders: [
        EHLO,
        ...[
          'root@lab.test',
          'nobody-here@lab.test',
          'someone@far.test',
          '',
          'unknown@relay.test',
          'unknown@alias.test',
          'unknown@box.test',
          'someone@bad.far.test',
          'someone@coded.far.test',
          'someone@later.far.test',
          'postmaster',
        ].flatMap((address) => [`MAIL FROM:<${address}>`, TO, 'RSET']),
        QUIT,
      ],
      recipients: addresses('nobody-here@lab.test', 'unknown@relay.test', 'unknown@alias.test'),
    },
  },
  'unlisted senders at once': {
    main: { smtpd_reject_unlisted_sender: 'yes', smtpd_delay_reject: 'no' },
    sessions: { senders: senders('FROM:<root@lab.test>', 'FROM:<nobody-here@lab.test>') },
  },
  'everybody is listed': {
    main: { local_recipient_maps: '', relay_recipient_maps: '', virtual_mailbox_maps: '' },
    sessions: {
      recipients: addresses(
        'nobody-here@lab.test',
        'unknown@relay.test',
        'unknown@alias.test',
        'unknown@box.test',
      ),
    },
  },
};
