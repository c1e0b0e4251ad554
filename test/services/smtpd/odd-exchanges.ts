/**
 * Every restriction and every action of access tables in its odd forms: without what has to follow it,
 * with tables that fail, in lists that have nothing for it to look at, behind `warn_if_reject`. Sessions
 * that Postfix's smtpd and ours have to answer alike. postconf(5), access(5).
 */
import type { Session, Setting } from './compare.ts';
import { type Step, send } from './dialogue.ts';

const EHLO = 'EHLO client.test';
const FROM = 'MAIL FROM:<ann@client.test>';
const TO = 'RCPT TO:<root@lab.test>';
const QUIT = 'QUIT';
const DATA = ['DATA', send('Subject: test\r\n\r\nhello\r\n.\r\n')] as const;

const inline = (entries: Readonly<Record<string, string>>): string =>
  `inline:{ ${Object.entries(entries)
    .map(([key, value]) => `{ ${key} = ${value} }`)
    .join(', ')} }`;

const patient = {
  local_recipient_maps: '',
  smtpd_hard_error_limit: '1000',
  smtpd_soft_error_limit: '1000',
};

/** Restrictions that a table or a server follows. */
const WITH_TABLE = [
  'client',
  'reverse_client_hostname',
  'helo',
  'sender',
  'recipient',
  'etrn',
  'sasl',
  'ccert',
  ...['client', 'reverse_client_hostname', 'helo', 'sender', 'recipient'].flatMap((whose) =>
    ['a', 'mx', 'ns'].map((type) => `${whose}_${type}`),
  ),
].map((name) => `check_${name}_access`);

const WITH_DOMAIN = [
  ...['reject_rbl_client', 'reject_rhsbl_client', 'reject_rhsbl_reverse_client'],
  ...['reject_rhsbl_helo', 'reject_rhsbl_sender', 'reject_rhsbl_recipient', 'reject_rbl'],
  ...['permit_dnswl_client', 'permit_rhswl_client'],
];

const REJECTS = [
  ...['reject', 'defer', 'defer_if_permit', 'defer_if_reject', 'reject_unauth_pipelining'],
  ...['reject_plaintext_session', 'reject_multi_recipient_bounce', 'reject_unauth_destination'],
  ...['defer_unauth_destination', 'reject_unlisted_recipient', 'check_recipient_maps'],
  ...['reject_unlisted_sender', 'reject_non_fqdn_sender', 'reject_non_fqdn_recipient'],
  ...['reject_non_fqdn_helo_hostname', 'reject_non_fqdn_hostname', 'reject_invalid_helo_hostname'],
  ...['reject_invalid_hostname', 'reject_unknown_client_hostname', 'reject_unknown_client'],
  'reject_unknown_reverse_client_hostname',
  ...['reject_sender_login_mismatch', 'reject_known_sender_login_mismatch'],
  'reject_authenticated_sender_login_mismatch',
  'reject_unauthenticated_sender_login_mismatch',
];

const PERMITS = [
  ...['permit', 'permit_mynetworks', 'permit_inet_interfaces', 'permit_sasl_authenticated'],
  ...['permit_auth_destination', 'permit_tls_clientcerts', 'permit_tls_all_clientcerts'],
  ...['permit_naked_ip_address'],
];

const ODD_FORMS = [
  ...WITH_TABLE.flatMap((name) => [name, `${name} foo`, `${name} reject`]),
  ...WITH_TABLE.map((name) => `warn_if_reject ${name}`),
  ...WITH_DOMAIN,
  ...WITH_DOMAIN.map((name) => `warn_if_reject ${name}`),
  ...PERMITS.flatMap((name) => [name, `warn_if_reject ${name}, reject`]),
  ...[...REJECTS, ...PERMITS].map((name) => `${name.toUpperCase()}, defer`),
  ...REJECTS.map((name) => `warn_if_reject ${name}, defer`),
  ...['warn_if_reject', 'warn_if_reject, warn_if_reject, reject', 'Warn_If_Reject reject'],
  ...['warn_if_reject warn_if_reject', 'reject warn_if_reject', 'permit, reject', 'defer defer'],
  ...['sleep', 'sleep x', 'sleep 0', 'sleep 0s', 'sleep 0 reject', 'sleep -1', 'SLEEP 0, reject'],
  ...['warn_if_reject sleep', 'warn_if_reject no_such_thing', 'no_such_thing, reject'],
  ...['check_policy_service', 'warn_if_reject check_policy_service', 'check_policy_service x'],
  ...['4.7.1 text', '5.7.1 text', '450', '450 4.7.1', '550 5.7.1', '450 4.7.1 ', '4501 text'],
  ...['399 text', '45 text', '4xx text', '450text', '599', '500 x', '400 x', '550 4.7.1 x'],
  ...['450 5.7.1 x', '550 2.0.0 x', '550 5.7 x', '250 x', '354 go', '421 4.7.0 bye'],
  ...['0', '-1', '1 2', '12345678901234567890', '1x', '+1', '1.5'],
  ...['OK reject', 'relay x', 'DUNNO reject', 'dunno', 'Reject', 'Defer', 'HOLD x', 'Hold'],
  ...['DEFER_IF_PERMIT', 'DEFER_IF_PERMIT 5.1.1 text', 'defer_if_permit text, and more'],
  ...['DEFER_IF_PERMIT 4.9', 'DEFER_IF_REJECT', 'DEFER_IF_REJECT 4.1.1', 'DEFER_IF_REJECT x y'],
  ...['REJECT 4.7.1', 'REJECT 5.7.1', 'REJECT 2.1.1 x', 'DEFER 5.7.1 x', 'DEFER 2.1.1', 'REJECT ,'],
  ...[
    'BCC',
    'BCC foo',
    'BCC root@lab.test',
    'BCC root@lab.test, x@lab.test',
    'BCC <root@lab.test>',
  ],
  ...['BCC @', 'REDIRECT', 'REDIRECT <root@lab.test>', 'REDIRECT a b@c', 'REDIRECT @'],
  ...['FILTER', 'FILTER :', 'FILTER smtp', 'FILTER smtp:', 'FILTER no_such:x', 'FILTER  a:b  c'],
  ...['PREPEND', 'PREPEND x', 'PREPEND X: y', 'PREPEND X:y', 'PREPEND X Y: z', 'PREPEND :x'],
  ...['INFO', 'INFO x', 'WARN', 'WARN x', 'STRIP x', 'REPLACE x: y', 'IGNORE', 'DELAY 1', 'PASS'],
  ...['HANGUP', 'DISCARD', 'DISCARD x', 'PREPEND', 'LOG x', 'STRIP', 'OK,reject', 'reject,OK'],
  ...['REJECT x,reject', '{ reject }', '{reject, permit}', 'reject_unauth_destination permit'],
];

/** These end the session. */
const LAST = /^(?:421|521|HANGUP)/;
/** RCPT commands in one session. */
const TOGETHER = 30;

const recipientOf = (form: string) => `f${ODD_FORMS.indexOf(form)}@lab.test`;

/** One table for each: the log names it, and has not room for a long one. */
const formTables = ODD_FORMS.map(
  (form) => `check_recipient_access ${inline({ [recipientOf(form)]: form })}`,
);

function formSessions(): Record<string, readonly Step[]> {
  const going = ODD_FORMS.filter((form) => !LAST.test(form));
  const session = (forms: readonly string[]): readonly Step[] => [
    EHLO,
    FROM,
    ...forms.map((form) => `RCPT TO:<${recipientOf(form)}>`),
    TO,
    QUIT,
  ];
  const sessions = ODD_FORMS.filter((form) => LAST.test(form)).map((form) => [form]);
  for (let at = 0; at < going.length; at += TOGETHER) {
    sessions.push(going.slice(at, at + TOGETHER));
  }
  return Object.fromEntries(sessions.map((forms) => [`from ${forms[0]}`, session(forms)]));
}

/** All of them after each other, in a list that may have nothing for them. */
const everything = [
  ...REJECTS.filter((name) => !/^(?:reject|defer)$/.test(name)),
  // The others ask the DNS.
  ...WITH_TABLE.slice(0, 8).map((name) => `${name} static:{REJECT by ${name}}`),
]
  .map((name) => `warn_if_reject ${name}`)
  .join(', ');

const messages: Readonly<Record<string, readonly Step[] | Session>> = {
  'a message': [EHLO, FROM, TO, ...DATA, QUIT],
  'a bounce': [EHLO, 'MAIL FROM:<>', TO, TO, ...DATA, QUIT],
  'a stranger': { from: '127.0.0.5', steps: ['HELO short', 'MAIL FROM:<x>', TO, ...DATA, QUIT] },
  'no HELO': [FROM, TO, 'RCPT TO:<x@far.test>', ...DATA, QUIT],
  VRFY: [EHLO, 'VRFY root', FROM, 'VRFY x@far.test', QUIT],
  ETRN: [EHLO, 'ETRN relay.test', QUIT],
};

const inList = (name: string, more = {}): Setting => {
  const barrier = name === 'relay' ? ', reject_unauth_destination' : '';
  return {
    main: { ...patient, [`smtpd_${name}_restrictions`]: `${everything}${barrier}`, ...more },
    sessions: messages,
  };
};

/** What clients call themselves. */
const NAMES = [
  ...['bad@lab.test', 'a<b>.test', 'a b.test', 'a  b', '"q".test', 'a;b', '(c)', 'a\\b', 'b_d'],
  ...['x@[192.0.2.1]', '\xc3\xa4.test', 'caf\xc3\xa9.test', '<>', '\x01\x02', 'UPPER.test'],
  ...['[192.0.2.1]', '.', 'a.', 'a:b', 'a@b@c', '=?', 'x'.repeat(600), 'good.test'],
];
const names: readonly Step[] = NAMES.flatMap((name) => [
  `EHLO ${name}`,
  FROM,
  TO,
  'RSET',
  `HELO ${name}`,
]);
const nameTable = inline({
  'bad@lab.test': 'REJECT typed',
  'bad?lab.test': 'REJECT clean',
  'lab.test': 'REJECT a domain',
  'a<b>.test': 'INFO typed',
  'a?b?.test': 'INFO clean',
  'upper.test': 'INFO in capitals',
  'x@[192.0.2.1]': 'INFO a literal',
  test: 'INFO a top domain',
});
const syntax = 'warn_if_reject reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname';

/** Where there is one recipient, restrictions for content look at it. */
const contentSessions = Object.fromEntries(
  [
    ...['root@lab.test', 'u@far.test', 'u%far.test@lab.test', 'known@relay.test'],
    ...['x@alias.test', 'short', 'postmaster'],
  ].flatMap((to) => [
    [to, [EHLO, FROM, `RCPT TO:<${to}>`, send('DATA\r\n'), send('.\r\n'), QUIT] as readonly Step[]],
    [`${to} by BDAT`, [EHLO, FROM, `RCPT TO:<${to}>`, send('BDAT 4 LAST\r\na\r\n\n'), QUIT]],
    [
      `${to} and another`,
      [EHLO, FROM, `RCPT TO:<${to}>`, TO, send('DATA\r\n'), send('.\r\n'), QUIT],
    ],
  ]),
);

export const ODD_SETTINGS: Readonly<Record<string, Setting>> = {
  'odd forms': {
    main: { ...patient, smtpd_recipient_restrictions: `${formTables.join(', ')}, permit` },
    sessions: formSessions(),
  },
  ...Object.fromEntries(
    ['client', 'helo', 'sender', 'relay', 'recipient', 'data', 'end_of_data', 'etrn'].map(
      (name) => [`in ${name}`, inList(name)],
    ),
  ),
  ...Object.fromEntries(
    ['client', 'helo', 'sender'].map((name) => [
      `in ${name}, at once`,
      inList(name, { smtpd_delay_reject: 'no' }),
    ]),
  ),
  'names, at once': {
    main: {
      ...patient,
      smtpd_delay_reject: 'no',
      smtpd_helo_restrictions: `check_helo_access ${nameTable}`,
      smtpd_sender_restrictions: `check_helo_access ${nameTable}`,
    },
    sessions: { names },
  },
  'syntax of names, at once': {
    main: { ...patient, smtpd_delay_reject: 'no', smtpd_helo_restrictions: syntax },
    sessions: { names },
  },
  'syntax of names': {
    main: { ...patient, smtpd_helo_restrictions: `check_helo_access ${nameTable}, ${syntax}` },
    sessions: { names },
  },
  'networks in a table that fails': {
    main: {
      mynetworks: 'fail:always',
      smtpd_client_event_limit_exceptions: '',
      smtpd_forbid_bare_newline_exclusions: '',
    },
    sessions: { 'a recipient': [EHLO, FROM, TO, QUIT] },
  },
  'own networks in a table that fails': {
    main: {
      mynetworks: 'fail:always',
      local_header_rewrite_clients: 'permit_mynetworks',
      smtpd_client_event_limit_exceptions: '',
      smtpd_forbid_bare_newline_exclusions: '',
    },
    sessions: { 'a sender': [EHLO, FROM, QUIT] },
  },
  'one recipient': {
    main: {
      ...patient,
      smtpd_data_restrictions:
        'reject_unauth_destination, warn_if_reject reject_non_fqdn_recipient, ' +
        'warn_if_reject reject_unlisted_recipient, permit_auth_destination, reject',
      smtpd_log_access_permit_actions: 'static:all',
    },
    sessions: contentSessions,
  },
};
