/**
 * Access tables, restriction classes and the words that go with them: sessions that Postfix's smtpd
 * and ours have to answer alike. access(5), RESTRICTION_CLASS_README.
 */
import type { Setting } from './compare.ts';
import type { Step } from './dialogue.ts';
import { DATA, EHLO, FROM, QUIT, stranger, TO } from './steps.ts';

/** The right-hand sides, by the recipient whose they are. */
const ACTIONS: Readonly<Record<string, string>> = {
  ok: 'OK',
  'ok-text': 'OK whatever',
  relay: 'relay',
  digits: '1234567',
  code: '554',
  dunno: 'DUNNO',
  'dunno-text': 'dunno whatever',
  reject: 'REJECT',
  'reject-text': 'reject go away',
  'reject-status': 'REJECT 5.1.6 moved',
  'reject-other-class': 'REJECT 4.2.1 text',
  'reject-mapped': 'REJECT 5.1.7 text',
  'reject-no-status': 'REJECT 5.1.1000 text',
  'reject-blanks': 'REJECT   5.7.9   two  blanks',
  'reject-long': `REJECT ${'x'.repeat(600)}`,
  'reject-very-long': `REJECT ${'x'.repeat(1500)}`,
  defer: 'DEFER',
  'defer-text': 'DEFER 4.2.2 later',
  450: '450 come back',
  '450-status': '450 4.2.0 come back',
  '550-other-class': '550 4.2.0 no',
  '550-text': '550 no',
  521: '521 good bye',
  421: '421 good bye',
  600: '600 text',
  251: '251 text',
  'defer-if-permit': 'DEFER_IF_PERMIT',
  'defer-if-permit-text': 'defer_if_permit 4.2.3 text',
  'defer-if-reject': 'DEFER_IF_REJECT later, you',
  info: 'INFO',
  'info-text': 'INFO some text, and more',
  warn: 'WARN',
  'warn-text': 'WARN some text',
  hold: 'HOLD',
  'hold-text': 'HOLD for a look',
  discard: 'DISCARD',
  'discard-text': 'DISCARD for a reason',
  'filter-nothing': 'FILTER',
  'filter-bad': 'FILTER foo',
  filter: 'FILTER discard:[192.0.2.4]:25',
  'redirect-nothing': 'REDIRECT',
  'redirect-bad': 'REDIRECT foo',
  redirect: 'REDIRECT root@lab.test',
  'bcc-bad': 'BCC foo',
  bcc: 'BCC root@lab.test',
  'prepend-nothing': 'PREPEND',
  'prepend-bad': 'PREPEND foo',
  'prepend-unnamed': 'PREPEND : bar',
  'prepend-blank': 'PREPEND X-A : bar',
  prepend: 'PREPEND X-A: bar',
  hangup: 'HANGUP',
  'hangup-text': 'HANGUP good bye',
  delay: 'DELAY 5',
  comma: ',',
  unknown: 'no_such_restriction',
  list: 'permit_mynetworks, reject',
  'list-final': 'permit, reject',
  'list-rejects': 'reject, permit',
  'list-defers': 'defer permit',
  'list-warns': 'warn_if_reject reject, defer',
  'list-sleeps': 'sleep 0, reject',
  'list-sleeps-not': 'sleep, reject',
  table: 'check_client_access hash:/etc/postfix/access',
  policy: 'check_policy_service unix:private/policy',
  'table-missing': 'check_client_access foo',
  'table-none': 'check_client_access',
  class: 'class1',
  'class-warned': 'warn_if_reject strict, permit',
  'class-mixed': 'Strict',
  'relay-denied': 'reject_unauth_destination',
};

const inline = (entries: Readonly<Record<string, string>>): string =>
  `inline:{ ${Object.entries(entries)
    .map(([key, value]) => `{ ${key} = ${value} }`)
    .join(', ')} }`;

/** One table for each: the log names it, and has not room for a long one. */
const actionTables = Object.entries(ACTIONS).map(
  ([name, action]) => `check_recipient_access ${inline({ [`${name}@lab.test`]: action })}`,
);

const actionSessions = Object.fromEntries(
  Object.keys(ACTIONS).map((name) => [
    name,
    [EHLO, FROM, `RCPT TO:<${name}@lab.test>`, TO, QUIT] as readonly Step[],
  ]),
);

const everybody = {
  local_recipient_maps: '',
  smtpd_hard_error_limit: '100',
  smtpd_soft_error_limit: '100',
};

const CLASSES = {
  smtpd_restriction_classes: 'class1, strict',
  class1: 'reject_unauth_destination, permit_mynetworks',
  strict: 'reject_non_fqdn_helo_hostname, reject',
};

export const ACCESS_SETTINGS = {
  actions: {
    main: {
      ...everybody,
      ...CLASSES,
      smtpd_recipient_restrictions: `${actionTables.join(', ')}, permit`,
    },
    sessions: {
      ...actionSessions,
      'a message that is discarded': [
        EHLO,
        FROM,
        'RCPT TO:<discard@lab.test>',
        'RCPT TO:<reject@lab.test>',
        'RCPT TO:<user@far.test>',
        ...DATA,
        FROM,
        'RCPT TO:<reject@lab.test>',
        QUIT,
      ],
      'a message that is held': [
        EHLO,
        FROM,
        'RCPT TO:<hold@lab.test>',
        'RCPT TO:<hold-text@lab.test>',
        ...DATA,
        FROM,
        'RCPT TO:<hold@lab.test>',
        QUIT,
      ],
      'several actions': [
        EHLO,
        FROM,
        'RCPT TO:<filter@lab.test>',
        'RCPT TO:<redirect@lab.test>',
        'RCPT TO:<bcc@lab.test>',
        'RCPT TO:<prepend@lab.test>',
        ...DATA,
        QUIT,
      ],
      'a very long address': [EHLO, FROM, `RCPT TO:<${'y'.repeat(700)}+x@lab.test>`, QUIT],
      'VRFY in a transaction': [
        EHLO,
        FROM,
        'VRFY hold@lab.test',
        'VRFY defer-if-permit@lab.test',
        QUIT,
      ],
      VRFY: [
        EHLO,
        'VRFY reject@lab.test',
        'VRFY hold@lab.test',
        'VRFY discard@lab.test',
        'VRFY defer-if-permit@lab.test',
        'VRFY info@lab.test',
        QUIT,
      ],
      'a stranger': stranger(
        EHLO,
        FROM,
        'RCPT TO:<class@lab.test>',
        'RCPT TO:<list@lab.test>',
        'RCPT TO:<list-warns@lab.test>',
        QUIT,
      ),
    },
  },
  'all lists': {
    main: {
      ...everybody,
      ...CLASSES,
      smtpd_client_restrictions: `check_client_access ${inline({
        '127.0.0.2': 'REJECT 5.1.1 whole',
        '127.0.1': 'REJECT a network',
        '127.1': 'REJECT a bigger network',
        unknown: 'INFO no name',
      })}, check_reverse_client_hostname_access ${inline({ '127.0.0.6': 'OK', '127.0.0.7': 'reject', '127.0.0.8': 'permit' })}`,
      smtpd_helo_restrictions: `check_helo_access ${inline({
        'bad.test': 'REJECT 5.1.2 a domain',
        '.dot.test': 'REJECT never',
        test: 'INFO a top domain',
        '[127.0.0.1]': 'REJECT a literal',
        'ok.helo': 'OK',
      })}`,
      smtpd_sender_restrictions: `${inline({
        'ann@bad.test': 'REJECT 5.1.1 whole',
        'bob@bad.test': 'REJECT without extension',
        'bob+x@bad.test': 'WARN with extension',
        'bad.test': 'REJECT a domain',
        'carl@': 'REJECT a local part',
        '<>': 'REJECT 5.1.8 nobody',
        'dora+x@': 'REJECT a local part with extension',
      })}`,
      smtpd_relay_restrictions: 'permit_mynetworks, reject_unauth_destination',
      smtpd_recipient_restrictions: `check_recipient_access ${inline({
        'Ann@lab.test': 'REJECT in capitals',
        'bob@lab.test': 'REJECT without extension',
        'far.test': 'strict',
        'route.test': 'OK',
      })}`,
      smtpd_etrn_restrictions: `check_etrn_access ${inline({
        'relay.test': 'REJECT a domain',
        'held.test': 'HOLD',
        'lab.test': 'OK',
      })}, reject`,
      smtpd_log_access_permit_actions: 'static:all',
    },
    sessions: {
      'clients of networks': { from: '127.0.1.9', steps: [EHLO, FROM, TO, QUIT] },
      'clients of bigger networks': { from: '127.1.2.3', steps: [EHLO, FROM, TO, QUIT] },
      'a client': { from: '127.0.0.2', steps: [EHLO, FROM, TO, QUIT] },
      'a client that permits itself': { from: '127.0.0.6', steps: [EHLO, FROM, TO, QUIT] },
      'a client whose name is refused': { from: '127.0.0.7', steps: [EHLO, FROM, TO, QUIT] },
      'a client that permits itself by a list': {
        from: '127.0.0.8',
        steps: [EHLO, FROM, TO, QUIT],
      },
      'names of HELO': [
        ...['bad.test', 'sub.bad.test', 'dot.test', 'a.dot.test', 'bad.test.', '[127.0.0.1]'],
        'ok.helo',
        'x.ok.helo',
      ].flatMap((name) => [`EHLO ${name}`, FROM, TO, 'RSET']),
      senders: [
        EHLO,
        ...[
          'ann@bad.test',
          'Ann@BAD.test',
          'bob@bad.test',
          'bob+x@bad.test',
          'bob+y@bad.test',
          'x@sub.bad.test',
          'carl@elsewhere.test',
          'carl+z@elsewhere.test',
          'dora@elsewhere.test',
          'dora+x@elsewhere.test',
          '',
          'carl',
        ].flatMap((sender) => [`MAIL FROM:<${sender}>`, TO, 'RSET']),
        QUIT,
      ],
      recipients: [
        EHLO,
        FROM,
        ...[
          'ann@lab.test',
          'bob+ext@lab.test',
          'postmaster+ext@lab.test',
          'x@far.test',
          'x@sub.far.test',
          'x%route.test@lab.test',
          'x@lab.test',
          'postmaster',
        ].map((recipient) => `RCPT TO:<${recipient}>`),
        QUIT,
      ],
      'routes by a stranger': stranger(
        EHLO,
        FROM,
        'RCPT TO:<x%route.test@lab.test>',
        'RCPT TO:<x@route.test>',
        QUIT,
      ),
      ETRN: [EHLO, 'ETRN relay.test', 'ETRN lab.test', 'ETRN held.test', 'ETRN far.test', QUIT],
      'a message': [EHLO, 'MAIL FROM:<x@ok.test>', TO, ...DATA, QUIT],
    },
  },
  'lists at once': {
    main: {
      ...everybody,
      smtpd_delay_reject: 'no',
      smtpd_client_restrictions: `check_client_access static:HOLD, check_client_access static:{FILTER smtp:x}, check_client_access static:{PREPEND a: b}, check_client_access static:{BCC a@b}, check_client_access static:INFO, check_client_access static:DISCARD`,
      smtpd_helo_restrictions: `${inline({ 'bad.test': 'REJECT', 'later.test': 'DEFER_IF_PERMIT 4.2.1 helo' })}, check_helo_access static:HOLD`,
      smtpd_sender_restrictions: `${inline({ 'bad.test': 'REJECT', 'later.test': 'DEFER_IF_PERMIT 4.2.2 sender', 'drop.test': 'DISCARD' })}, check_sender_access static:HOLD`,
      smtpd_end_of_data_restrictions:
        'check_client_access static:{PREPEND a: b}, check_client_access static:{REDIRECT root@lab.test}',
    },
    sessions: {
      'a message': [EHLO, FROM, TO, ...DATA, QUIT],
      refusals: ['EHLO bad.test', 'MAIL FROM:<x@bad.test>', FROM, TO, QUIT],
      'a HELO to defer for': ['EHLO later.test', FROM, TO, QUIT],
      'a sender to defer for': [EHLO, 'MAIL FROM:<x@later.test>', TO, 'RSET', FROM, TO, QUIT],
      'a message to discard': [EHLO, 'MAIL FROM:<x@drop.test>', TO, TO, ...DATA, QUIT],
    },
  },
  'table trouble': {
    main: {
      ...everybody,
      smtpd_helo_restrictions: `${inline({ 'client.test': 'OK' })}, check_helo_access fail:helo`,
      smtpd_sender_restrictions: 'warn_if_reject check_sender_access fail:sender',
      smtpd_data_restrictions: 'static:ok',
      smtpd_etrn_restrictions: 'fail:etrn',
    },
    sessions: {
      HELO: ['EHLO other.test', FROM, TO, QUIT],
      sender: [EHLO, FROM, TO, QUIT],
      'no sender': [EHLO, 'MAIL FROM:<>', TO, QUIT],
      ETRN: [EHLO, 'ETRN lab.test', QUIT],
    },
  },
  'table without a restriction': {
    main: { smtpd_data_restrictions: 'static:ok', smtpd_end_of_data_restrictions: 'nonsense' },
    sessions: { DATA: [EHLO, FROM, TO, 'DATA', QUIT] },
  },
  'unknown restriction': {
    main: { smtpd_client_restrictions: 'warn_if_reject No_Such_Thing, permit' },
    sessions: { 'a recipient': [EHLO, FROM, TO, QUIT] },
  },
  deferrals: {
    main: {
      ...everybody,
      smtpd_client_restrictions: 'defer_if_reject, permit_mynetworks',
      smtpd_helo_restrictions: `defer_if_reject, check_helo_access ${inline({ 'bad.test': 'REJECT' })}, permit`,
      smtpd_sender_restrictions: `${inline({ 'p.test': 'defer_if_permit', 'r.test': 'defer_if_reject', 'b.test': 'defer_if_permit defer_if_reject reject', 'w.test': 'warn_if_reject defer_if_permit, warn_if_reject defer_if_reject, reject' })}`,
      smtpd_recipient_restrictions: `check_recipient_access ${inline({ 'no@lab.test': 'REJECT', 'defer@lab.test': 'DEFER', 'both@lab.test': 'DEFER_IF_REJECT a', 'bad@lab.test': 'no_such' })}, permit_mynetworks, reject`,
      smtpd_data_restrictions: 'defer_if_permit',
    },
    sessions: Object.fromEntries(
      ['EHLO client.test', 'EHLO bad.test'].flatMap((helo) =>
        ['a@p.test', 'a@r.test', 'a@b.test', 'a@w.test', 'a@x.test'].map((sender) => [
          `${helo} ${sender}`,
          [
            helo,
            `MAIL FROM:<${sender}>`,
            TO,
            'RCPT TO:<no@lab.test>',
            'RCPT TO:<defer@lab.test>',
            'RCPT TO:<both@lab.test>',
            'RCPT TO:<bad@lab.test>',
            'DATA',
            QUIT,
          ] as readonly Step[],
        ]),
      ),
    ),
  },
  codes: {
    main: {
      ...everybody,
      access_map_reject_code: '521',
      access_map_defer_code: '421',
      reject_code: '550',
      defer_code: '451',
      plaintext_reject_code: '530',
      parent_domain_matches_subdomains: '',
      smtpd_null_access_lookup_key: 'nobody',
      smtpd_sender_restrictions: `check_sender_access ${inline({ 'a@b.test': 'REJECT', 'c@b.test': 'DEFER', nobody: 'reject_plaintext_session', 'parent.test': 'REJECT one', '.parent.test': 'REJECT sub', 'r@b.test': 'reject', 'd@b.test': 'defer' })}`,
    },
    sessions: {
      REJECT: [EHLO, 'MAIL FROM:<a@b.test>', TO],
      DEFER: [EHLO, 'MAIL FROM:<c@b.test>', TO],
      'the others': [
        EHLO,
        ...['r@b.test', 'd@b.test', '', 'x@parent.test', 'x@a.parent.test', 'x@b.parent.test'],
      ].flatMap((line, at) => (at === 0 ? [line] : [`MAIL FROM:<${line}>`, TO, 'RSET'])),
    },
  },
  'codes that are none': {
    main: { reject_code: '299', smtpd_sender_restrictions: 'reject' },
    sessions: { 'a recipient': [EHLO, FROM, TO, QUIT] },
  },
} satisfies Readonly<Record<string, Setting>>;
