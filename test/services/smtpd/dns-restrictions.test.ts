/**
 * Restrictions that ask the DNS: Postfix's smtpd and ours ask the same server. Postfix asks port 53 of
 * what resolv.conf names, so this runs in a network of its own, started by itself.
 */
import { test } from 'node:test';
import { startDnsServer, type Zone } from '../../support/dns-server.ts';
import { isInOwnNetwork, runInOwnNetwork, whyNoOwnNetwork } from '../../support/own-network.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { compareServers, type Session } from './compare.ts';
import type { Step } from './dialogue.ts';
import { QUIT, TO } from './steps.ts';

const ZONE: Zone = {
  // Clients.
  '1.0.0.127.in-addr.arpa': { PTR: ['good.test'] },
  '5.0.0.127.in-addr.arpa': { PTR: ['other.test'] },
  '6.0.0.127.in-addr.arpa': { PTR: ['forged.test'] },
  '7.0.0.127.in-addr.arpa': { rcode: 'SERVFAIL' },
  '8.0.0.127.in-addr.arpa': { PTR: ['broken.test'] },
  'good.test': { A: ['127.0.0.1'], MX: [[10, 'mx.good.test']], NS: ['ns.good.test'] },
  'mx.good.test': { A: ['192.0.2.25'] },
  'ns.good.test': { A: ['192.0.2.53'] },
  'other.test': { A: ['127.0.0.5'] },
  'forged.test': { A: ['127.0.0.99'] },
  'broken.test': { rcode: 'SERVFAIL' },
  // Domains.
  'mx-only.test': { MX: [[10, 'mx.good.test']] },
  'address.test': { A: ['192.0.2.80'] },
  'null.test': { MX: [[0, '.']] },
  'nothing.test': { TXT: ['nothing'] },
  'host.good.test': { A: ['192.0.2.81'] },
  'dead-mx.test': { MX: [[10, 'gone.test']] },
  'bad-mx.test': { MX: [[10, 'mx.bad.test']], NS: ['ns.bad.test'] },
  'mx.bad.test': { A: ['192.0.2.66'] },
  'ns.bad.test': { A: ['192.0.2.67'] },
  'bad-address.test': { A: ['192.0.2.66'] },
  'broken-mx.test': { MX: [[10, 'broken.test']] },
  'backup.test': {
    MX: [
      [10, 'mx.good.test'],
      [20, 'us.test'],
    ],
  },
  'backup-bad.test': {
    MX: [
      [10, 'mx.bad.test'],
      [20, 'us.test'],
    ],
  },
  'us.test': { A: ['127.0.0.1'] },
  // Lists.
  '5.0.0.127.list.test': { A: ['127.0.0.2'], TXT: ['listed, see http://list.test/'] },
  '5.0.0.127.two.test': { A: ['127.0.0.4', '127.0.0.9'], TXT: ['one', 'two'] },
  '5.0.0.127.quiet.test': { A: ['127.0.0.2'] },
  '5.0.0.127.long.test': {
    A: ['127.0.0.2'],
    TXT: ['x'.repeat(250)],
  },
  '5.0.0.127.macro.test': { A: ['127.0.0.2'], TXT: ['a $client `b` é'] },
  '5.0.0.127.down.test': { rcode: 'SERVFAIL' },
  '1.0.0.127.down.test': { rcode: 'SERVFAIL' },
  '1.0.0.127.allow.test': { A: ['127.0.0.2'] },
  '5.0.0.127.allow.test': { A: ['127.0.0.2'] },
  'listed.test.domains.test': { A: ['127.0.0.2'], TXT: ['a bad domain'] },
  'other.test.domains.test': { A: ['127.0.0.3'] },
};

const EHLO = 'EHLO good.test';
const FROM = 'MAIL FROM:<ann@good.test>';
const NAMED = { smtpd_peername_lookup: 'yes', local_recipient_maps: '' };
/** Names that have no DNS at all, or a bad one. */
const DOMAINS = [
  'good.test',
  'mx-only.test',
  'address.test',
  'null.test',
  'nothing.test',
  'missing.test',
  'broken.test',
  'broken-mx.test',
  'dead-mx.test',
  'host.good.test',
  'bad-mx.test',
  'bad-address.test',
  'a.bad-mx.test',
  '[127.0.0.1]',
  '[192.0.2.66]',
  'under_score.test',
  'lab.test',
  'relay.test',
];

const from = (address: string, ...steps: readonly Step[]): Session => ({ from: address, steps });
const helos = DOMAINS.flatMap((name) => [`EHLO ${name}`, FROM, TO, 'RSET']);
const senders = [
  EHLO,
  ...DOMAINS.flatMap((name) => [`MAIL FROM:<ann@${name}>`, TO, 'RSET']),
  'MAIL FROM:<>',
  TO,
];
const recipients = [EHLO, FROM, ...DOMAINS.map((name) => `RCPT TO:<ann@${name}>`)];
const everyClient = Object.fromEntries(
  [1, 5, 6, 7, 8, 9].map((last) => [
    `127.0.0.${last}`,
    from(`127.0.0.${last}`, EHLO, FROM, TO, 'VRFY root', QUIT),
  ]),
);
const servers =
  'inline:{ {mx.bad.test = REJECT a name}, {192.0.2.67 = REJECT a name server}, ' +
  '{192.0.2.66 = REJECT an address}, {127.0.0.99 = REJECT forged}, {mx.good.test = OK} }';
/** It is asked for each command, and Postfix says so once. */
const once = { '127.0.0.5': from('127.0.0.5', EHLO, FROM, TO, QUIT) };
const lists = (text: string, more = {}) => ({
  main: { ...NAMED, smtpd_recipient_restrictions: text, ...more },
  sessions: everyClient,
});
const forgiving = { smtpd_hard_error_limit: '1000', smtpd_soft_error_limit: '1000' };

const SETTINGS = {
  'unknown clients': {
    main: { ...NAMED, smtpd_client_restrictions: 'reject_unknown_client_hostname' },
    sessions: everyClient,
  },
  'unknown reverse names': {
    main: {
      ...NAMED,
      smtpd_client_restrictions: 'reject_unknown_reverse_client_hostname',
      unknown_client_reject_code: '550',
    },
    sessions: everyClient,
  },
  'no names at all': {
    main: {
      smtpd_client_restrictions:
        'warn_if_reject reject_unknown_client, reject_unknown_reverse_client_hostname',
    },
    sessions: everyClient,
  },
  'unknown names of HELO': {
    main: { ...NAMED, ...forgiving, smtpd_helo_restrictions: 'reject_unknown_helo_hostname' },
    sessions: { HELO: helos },
  },
  'unknown names of HELO, at once': {
    main: {
      ...NAMED,
      ...forgiving,
      smtpd_helo_restrictions: 'reject_unknown_hostname',
      unknown_hostname_reject_code: '550',
      unknown_helo_hostname_tempfail_action: 'defer',
    },
    sessions: { HELO: helos },
  },
  'unknown senders': {
    main: { ...NAMED, ...forgiving, smtpd_sender_restrictions: 'reject_unknown_sender_domain' },
    sessions: { MAIL: senders },
  },
  'unknown senders, at once': {
    main: {
      ...NAMED,
      ...forgiving,
      smtpd_sender_restrictions: 'reject_unknown_address',
      unknown_address_reject_code: '550',
      reject_tempfail_action: 'defer',
    },
    sessions: { MAIL: senders },
  },
  'unknown recipients': {
    main: {
      ...NAMED,
      ...forgiving,
      smtpd_recipient_restrictions: 'reject_unknown_recipient_domain',
    },
    sessions: { RCPT: recipients },
  },
  'mail exchangers': {
    main: {
      ...NAMED,
      ...forgiving,
      smtpd_sender_restrictions: `check_sender_mx_access ${servers}`,
      smtpd_helo_restrictions: `check_helo_mx_access ${servers}`,
      smtpd_client_restrictions: `check_client_mx_access ${servers}`,
    },
    sessions: { MAIL: senders, HELO: helos, ...everyClient },
  },
  'name servers': {
    main: {
      ...NAMED,
      ...forgiving,
      smtpd_sender_restrictions: `check_sender_ns_access ${servers}`,
      smtpd_recipient_restrictions: `check_recipient_ns_access ${servers}`,
    },
    sessions: { MAIL: senders, RCPT: recipients },
  },
  addresses: {
    main: {
      ...NAMED,
      ...forgiving,
      smtpd_sender_restrictions: `check_sender_a_access ${servers}`,
      smtpd_helo_restrictions: `check_helo_a_access ${servers}`,
      smtpd_client_restrictions: `check_reverse_client_hostname_a_access ${servers}`,
    },
    sessions: { MAIL: senders, HELO: helos, ...everyClient },
  },
  'a list': lists('reject_rbl_client list.test, reject_rbl_client quiet.test'),
  'a list with a code': lists('reject_rbl_client quiet.test', { maps_rbl_reject_code: '421' }),
  'a list with a filter': lists(
    'reject_rbl_client two.test=127.0.0.3, reject_rbl_client two.test=127.0.0.[1..2;9..10]',
  ),
  'a list that warns': lists('warn_if_reject reject_rbl_client list.test'),
  'a list that is down': {
    ...lists('reject_rbl_client down.test, reject_rbl list.test'),
    sessions: once,
  },
  'a list with much to say': lists('reject_rbl_client long.test'),
  'a list with odd words': lists('reject_rbl_client macro.test'),
  'a list without a name': lists('reject_rbl_client'),
  'lists of domains': lists(
    'reject_rhsbl_client domains.test=127.0.0.9, reject_rhsbl_reverse_client domains.test',
  ),
  'lists of domains of clients': lists('reject_rhsbl_client domains.test'),
  'lists of senders and names': {
    main: {
      ...NAMED,
      smtpd_recipient_restrictions:
        'reject_rhsbl_helo domains.test, reject_rhsbl_sender domains.test, reject_rhsbl_recipient domains.test',
    },
    sessions: {
      HELO: ['EHLO listed.test', FROM, TO],
      'a literal': ['EHLO [127.0.0.1]', FROM, TO],
      'a number': ['EHLO 127.0.0.1', FROM, TO],
      sender: [EHLO, 'MAIL FROM:<x@listed.test>', TO],
      'no sender': [EHLO, 'MAIL FROM:<>', TO],
      recipient: [EHLO, FROM, 'RCPT TO:<x@listed.test>'],
    },
  },
  'replies of its own': lists('reject_rbl_client list.test, reject_rbl_client quiet.test', {
    rbl_reply_maps:
      'inline:{ {list.test = 550 5.7.9 $$rbl_class $$rbl_what $$rbl_domain: $$rbl_reason, $$client_name $$helo_name $$sender $$recipient_domain} }',
  }),
  'a reply that is none': lists('reject_rbl_client list.test', {
    default_rbl_reply: 'no code for $client_address',
  }),
  'a bad reply of one': lists('reject_rbl_client list.test', {
    rbl_reply_maps: 'inline:{ {list.test=550 $$(unfinished} }',
  }),
  'lists that permit': lists(
    'permit_dnswl_client allow.test, permit_rhswl_client domains.test, reject_rbl_client list.test, reject',
    {
      smtpd_log_access_permit_actions: 'static:all',
      smtpd_relay_restrictions: 'permit_dnswl_client allow.test, reject_unauth_destination',
    },
  ),
  'a list that permits, and is down': {
    ...lists('permit_dnswl_client down.test, reject_rbl_client list.test, reject'),
    sessions: once,
  },
  'mail exchangers for others': {
    main: {
      ...NAMED,
      ...forgiving,
      inet_interfaces: '127.0.0.1',
      smtpd_relay_restrictions: 'permit_mx_backup, reject_unauth_destination',
    },
    sessions: {
      RCPT: [
        EHLO,
        FROM,
        'RCPT TO:<x@backup.test>',
        'RCPT TO:<x@backup-bad.test>',
        ...recipients.slice(2),
      ],
    },
  },
  'all that asks for servers': {
    main: {
      ...NAMED,
      ...forgiving,
      unknown_address_tempfail_action: 'defer',
      smtpd_recipient_restrictions: [
        ...['client', 'reverse_client_hostname', 'helo', 'sender', 'recipient'].flatMap((whose) =>
          ['a', 'mx', 'ns'].map(
            (type) =>
              `warn_if_reject check_${whose}_${type}_access inline:{ {192.0.2.25=REJECT ${whose} ${type}}, {192.0.2.53=REJECT name server}, {192.0.2.66=REJECT address}, {127.0.0=REJECT local} }`,
          ),
        ),
        'warn_if_reject reject_unknown_sender_domain',
      ].join(', '),
    },
    sessions: {
      ...once,
      ...Object.fromEntries(
        ['good.test', 'bad-mx.test', 'bad-address.test', 'broken-mx.test'].map((name) => [
          name,
          [`EHLO ${name}`, `MAIL FROM:<ann@${name}>`, 'RCPT TO:<x@good.test>', TO, QUIT],
        ]),
      ),
    },
  },
  'lists of long ago': lists('reject_maps_rbl', { maps_rbl_domains: 'quiet.test, list.test' }),
  'a filter of replies': {
    main: {
      ...NAMED,
      ...forgiving,
      smtpd_dns_reply_filter:
        'regexp:{ {/^mx-only\\.test\\. [0-9]+ IN MX 10 mx\\.good\\.test\\.$$/ IGNORE}, {/IN A 192\\.0\\.2\\.80$$/ ignore}, {/^dead-mx/ BOGUS}, {/^5\\.0\\.0\\.127\\.list\\.test\\. .* A / IGNORE} }',
      smtpd_sender_restrictions: 'reject_unknown_sender_domain',
      smtpd_recipient_restrictions: 'reject_rbl_client list.test',
    },
    sessions: {
      senders: [
        EHLO,
        ...['mx-only', 'address', 'dead-mx', 'good'].flatMap((name) => [
          `MAIL FROM:<ann@${name}.test>`,
          TO,
          'RSET',
        ]),
        QUIT,
      ],
      listed: from('127.0.0.5', EHLO, FROM, TO, QUIT),
    },
  },
  'mail exchangers in networks': {
    main: {
      ...NAMED,
      ...forgiving,
      permit_mx_backup_networks: '192.0.2.25/32',
      smtpd_relay_restrictions: 'permit_mx_backup, reject_unauth_destination',
    },
    sessions: {
      RCPT: [
        EHLO,
        FROM,
        'RCPT TO:<x@backup.test>',
        'RCPT TO:<x@backup-bad.test>',
        'RCPT TO:<x@good.test>',
      ],
    },
  },
};

if (!isInOwnNetwork) {
  test(
    'restrictions that ask the DNS decide as in Postfix',
    {
      skip: whyNoPostfix() || whyNoOwnNetwork(),
      timeout: 300_000,
    },
    (t) => runInOwnNetwork(t, __filename),
  );
} else {
  test('restrictions that ask the DNS', { concurrency: 2 }, async (t) => {
    await startDnsServer(t, ZONE, 53);
    await compareServers(t, SETTINGS);
  });
}
