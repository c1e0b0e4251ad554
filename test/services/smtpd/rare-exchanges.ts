/** What few configurations have: old restrictions, command filters, overrides, addresses in Unicode. */
import type { Setting } from './compare.ts';
import { type Step, send } from './dialogue.ts';
import { DATA, EHLO, FROM, QUIT, stranger, TO } from './steps.ts';

const rcpt = (...addresses: readonly string[]): readonly Step[] => [
  EHLO,
  FROM,
  ...addresses.map((address) => `RCPT TO:<${address}>`),
  QUIT,
];
const latin = (text: string) => send(`${Buffer.from(text, 'utf8').toString('latin1')}\r\n`);

export const RARE_SETTINGS: Readonly<Record<string, Setting>> = {
  check_relay_domains: {
    main: {
      smtpd_relay_restrictions: '',
      smtpd_recipient_restrictions: 'check_relay_domains',
    },
    sessions: {
      stranger: stranger(
        ...rcpt('root@lab.test', 'known@relay.test', 'ann@far.test', 'a%far.test@lab.test'),
      ),
      again: stranger(...rcpt('root@lab.test', 'ann@far.test')),
      ours: rcpt('ann@far.test'),
    },
  },
  'check_relay_domains for a client of relay_domains': {
    main: {
      smtpd_relay_restrictions: '',
      smtpd_recipient_restrictions: 'check_relay_domains, permit',
      smtpd_authorized_xclient_hosts: '127.0.0.0/8',
    },
    sessions: {
      relay: [
        'XCLIENT NAME=mx.relay.test ADDR=192.0.2.1 REVERSE_NAME=mx.relay.test',
        ...rcpt('ann@far.test'),
      ],
      other: ['XCLIENT NAME=mx.far.test ADDR=192.0.2.1', ...rcpt('ann@far.test')],
    },
  },
  'warn_if_reject check_relay_domains': {
    main: { smtpd_recipient_restrictions: 'warn_if_reject check_relay_domains, reject' },
    sessions: { stranger: stranger(...rcpt('ann@far.test', 'root@lab.test')) },
  },
  'reject_maps_rbl without lists': {
    main: { smtpd_client_restrictions: 'reject_maps_rbl', maps_rbl_domains: '' },
    sessions: { stranger: stranger(...rcpt('root@lab.test')) },
  },
  permit_naked_ip_address: {
    main: { smtpd_helo_restrictions: 'permit_naked_ip_address, reject_non_fqdn_hostname' },
    sessions: {
      address: stranger('EHLO 192.0.2.1', FROM, TO, QUIT),
      name: stranger('EHLO short', FROM, TO, QUIT),
    },
  },
  smtpd_command_filter: {
    main: {
      smtpd_command_filter:
        'regexp:{{/^HELP/ NOOP} {/^(RCPT TO:<[^ ]+>) NOTIFY=.*/ $$1} {/^BOGUS/ rcpt to:<root@lab.test>} {/^KILL/ QUIT} {/^DOUBLE/ NOOP\\ NOOP}}',
    },
    sessions: {
      all: [
        EHLO,
        'HELP me',
        '  HELP',
        'help',
        FROM,
        'RCPT TO:<root@lab.test> NOTIFY=nonsense',
        'BOGUS',
        'DOUBLE',
        send('  \r\n'),
        ...DATA,
        'KILL',
      ],
    },
  },
  'a command filter that fails': {
    main: { smtpd_command_filter: 'fail:always' },
    sessions: { any: [EHLO, 'NOOP', QUIT] },
  },
  'no unknown recipient checks': {
    main: { receive_override_options: 'no_unknown_recipient_checks' },
    sessions: {
      stranger: stranger(...rcpt('nobody@lab.test', 'nobody@relay.test', 'nobody@box.test')),
    },
  },
  'listed or not': {
    main: {
      smtpd_reject_unlisted_recipient: 'no',
      smtpd_relay_restrictions: 'defer_unauth_destination',
      smtpd_recipient_restrictions:
        'warn_if_reject reject_unlisted_recipient, warn_if_reject check_recipient_maps, warn_if_reject reject_unlisted_sender',
    },
    sessions: {
      recipients: stranger(
        ...rcpt('root@lab.test', 'x@lab.test', 'x@relay.test', 'x@alias.test', 'x@box.test'),
        ...rcpt('x@far.test', 'moved@lab.test', 'renamed@lab.test', 'x@bad.far.test'),
      ),
      senders: [
        EHLO,
        ...['x@lab.test', 'root@lab.test', 'x@alias.test', 'x@box.test', 'x@far.test', ''].flatMap(
          (name) => [`MAIL FROM:<${name}>`, TO, 'RSET'],
        ),
        QUIT,
      ],
    },
  },
  'codes of its own': {
    main: {
      invalid_hostname_reject_code: '451',
      multi_recipient_bounce_reject_code: '599',
      non_fqdn_reject_code: '450',
      smtpd_helo_restrictions:
        'warn_if_reject reject_invalid_hostname, warn_if_reject reject_non_fqdn_hostname',
      smtpd_sender_restrictions: 'warn_if_reject reject_non_fqdn_sender',
      smtpd_data_restrictions: 'reject_multi_recipient_bounce',
    },
    sessions: {
      all: [
        ...['EHLO a..b', 'MAIL FROM:<ann@short>', TO, 'EHLO short', 'MAIL FROM:<>', TO, TO],
        ...['DATA', QUIT],
      ],
    },
  },
  'no certificates': {
    main: {
      smtpd_client_restrictions: 'permit_tls_clientcerts, permit_tls_all_clientcerts, reject',
    },
    sessions: { stranger: stranger(...rcpt('root@lab.test')) },
  },
  'what macros may show': {
    main: {
      smtpd_reject_footer: '\\c; $$helo_name, $$client, $$sender',
      smtpd_expansion_filter: 'abcdefghij',
      smtpd_recipient_restrictions: 'reject',
    },
    sessions: { any: rcpt('root@lab.test') },
  },
  'domains that match their subdomains': {
    main: {
      parent_domain_matches_subdomains: 'smtpd_access_maps',
      smtpd_sender_restrictions:
        'check_sender_access inline:{{parent.test=REJECT parent} {.dot.test=REJECT dot}}',
    },
    sessions: {
      senders: [
        EHLO,
        ...['parent.test', 'sub.parent.test', 'dot.test', 'sub.dot.test'].flatMap((domain) => [
          `MAIL FROM:<x@${domain}>`,
          TO,
          'RSET',
        ]),
        QUIT,
      ],
    },
  },
  'addresses in Unicode': {
    main: { local_recipient_maps: '', strict_smtputf8: 'no' },
    sessions: {
      undeclared: [
        EHLO,
        latin('MAIL FROM:<jös@client.test>'),
        latin('RCPT TO:<rööt@lab.test>'),
        latin('RCPT TO:<root@läb.test>'),
        ...DATA,
        QUIT,
      ],
      declared: [
        EHLO,
        latin('MAIL FROM:<jös@client.test> SMTPUTF8'),
        latin('RCPT TO:<rööt@lab.test>'),
        latin('RCPT TO:<root@läb.test>'),
        latin('RCPT TO:<ann@fär.test>'),
        ...DATA,
        QUIT,
      ],
      'declared twice, and for nothing': [
        EHLO,
        `${FROM} SMTPUTF8 SMTPUTF8`,
        TO,
        'RCPT TO:<ann@far.test> SMTPUTF8',
        ...DATA,
        QUIT,
      ],
      'sender domain': [EHLO, latin('MAIL FROM:<ann@clïent.test>'), QUIT],
      'sender domain declared': [EHLO, latin('MAIL FROM:<ann@clïent.test> SMTPUTF8'), TO, QUIT],
      vrfy: [
        EHLO,
        latin('VRFY rööt'),
        latin('VRFY rööt SMTPUTF8'),
        latin('VRFY root@läb.test SMTPUTF8'),
        latin('VRFY root@läb.test'),
        QUIT,
      ],
      'a-labels': [EHLO, 'MAIL FROM:<ann@xn--clent-lsa.test>', 'RCPT TO:<a@xn--fr-via.test>', QUIT],
      broken: [EHLO, send('MAIL FROM:<j\xf6s@client.test>\r\n'), QUIT],
    },
  },
  'strict about Unicode': {
    main: { strict_smtputf8: 'yes', local_recipient_maps: '' },
    sessions: {
      undeclared: [
        EHLO,
        latin('MAIL FROM:<jös@client.test>'),
        FROM,
        latin('RCPT TO:<rööt@lab.test>'),
        QUIT,
      ],
      declared: [EHLO, `${FROM} SMTPUTF8`, latin('RCPT TO:<rööt@lab.test>'), QUIT],
    },
  },
  'without Unicode': {
    main: { smtputf8_enable: 'no', local_recipient_maps: '' },
    sessions: {
      all: [
        EHLO,
        `${FROM} SMTPUTF8`,
        send('MAIL FROM:<j\xf6s@client.test>\r\n'),
        send('RCPT TO:<r\xf6\xf6t@lab.test>\r\n'),
        QUIT,
      ],
    },
  },
  bodies: {
    main: {},
    sessions: {
      binary: [
        EHLO,
        `${FROM} BODY=BINARYMIME`,
        `${FROM} BODY=`,
        `${FROM} BODY=8BIT`,
        `${FROM} body=7bit`,
        TO,
        QUIT,
      ],
      'binary by chunks': [
        EHLO,
        `${FROM} BODY=BINARYMIME`,
        FROM,
        TO,
        send('BDAT 4 LAST\r\na\0b\n'),
        QUIT,
      ],
    },
  },
};
