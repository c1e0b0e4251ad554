/** AUTH, and what a login changes: sessions that Postfix's smtpd and ours have to answer alike. */
import type { Setting } from './compare.ts';
import { type Step, send } from './dialogue.ts';
import { EHLO, FROM, QUIT, TO } from './steps.ts';

const FAR = 'RCPT TO:<u@far.test>';
const MESSAGE: readonly Step[] = ['DATA', send('a: b\r\n\r\nc\r\n.\r\n')];

export const USERS = { joe: 'secret', 'ann@lab.test': 'p w', 'o"dd(': 'x' };

const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');
const plain = (user: string, password: string, as = '') => base64(`${as}\0${user}\0${password}`);
const JOE = `AUTH PLAIN ${plain('joe', 'secret')}`;
const WRONG = `AUTH PLAIN ${plain('joe', 'wrong')}`;
const stranger = (...steps: readonly Step[]) => ({ from: '127.0.0.5', steps });

/** @param socket smtpd_sasl_path */
export function authSettings(socket: string): Readonly<Record<string, Setting>> {
  const SASL = {
    smtpd_sasl_auth_enable: 'yes',
    smtpd_sasl_type: 'dovecot',
    smtpd_sasl_path: socket,
  };
  return {
    AUTH: {
      main: {
        ...SASL,
        smtpd_sasl_authenticated_header: 'yes',
        smtpd_client_event_limit_exceptions: '',
        smtpd_authorized_xclient_hosts: '127.0.0.7',
        smtpd_authorized_verp_clients: '127.0.0.7',
        smtpd_hard_error_limit: '100',
      },
      sessions: {
        EHLO: stranger(EHLO, QUIT),
        'EHLO for who may do everything': { from: '127.0.0.7', steps: [EHLO, QUIT] },
        PLAIN: stranger(EHLO, JOE, FROM, FAR, ...MESSAGE, JOE, QUIT),
        'small letters': stranger(EHLO, JOE.replace('PLAIN', 'plain'), FROM, FAR, 'RSET', QUIT),
        'PLAIN in two steps': stranger(EHLO, 'AUTH PLAIN', plain('joe', 'secret'), FROM, FAR, QUIT),
        'PLAIN after =': stranger(EHLO, 'AUTH PLAIN =', QUIT),
        'as somebody else': stranger(EHLO, `AUTH PLAIN ${plain('joe', 'secret', 'ann')}`, QUIT),
        'as oneself': stranger(EHLO, `AUTH PLAIN ${plain('joe', 'secret', 'joe')}`, QUIT),
        'a wrong password': stranger(EHLO, WRONG, FROM, FAR, 'RSET', JOE, FROM, FAR, QUIT),
        'nobody of that name': stranger(EHLO, `AUTH PLAIN ${plain('nobody', 'x')}`, QUIT),
        'odd names': stranger(
          EHLO,
          `AUTH PLAIN ${plain('o"dd(', 'x')}`,
          `${FROM} AUTH=joe+40x`,
          FAR,
          ...MESSAGE,
          QUIT,
        ),
        'no name': stranger(EHLO, `AUTH PLAIN ${plain('', 'x')}`, QUIT),
        'control characters': stranger(EHLO, `AUTH PLAIN ${plain('j\no\te', 'x')}`, QUIT),
        'no structure': stranger(
          EHLO,
          `AUTH PLAIN ${base64('joe')}`,
          `AUTH PLAIN ${base64('')}`,
          QUIT,
        ),
        LOGIN: stranger(EHLO, 'AUTH LOGIN', base64('joe'), base64('secret'), FROM, FAR, QUIT),
        'LOGIN, the name first': stranger(
          EHLO,
          `AUTH LOGIN ${base64('ann@lab.test')}`,
          base64('p w'),
          FROM,
          FAR,
          QUIT,
        ),
        'LOGIN, a wrong password': stranger(EHLO, 'AUTH LOGIN', base64('joe'), base64('x'), QUIT),
        'LOGIN, given up': stranger(
          EHLO,
          'AUTH LOGIN',
          base64('joe'),
          '*',
          'AUTH LOGIN',
          '*',
          QUIT,
        ),
        'ANONYMOUS is not offered': stranger(EHLO, 'AUTH ANONYMOUS dGVzdA==', QUIT),
        'no mechanism that there is': stranger(
          EHLO,
          'AUTH FOO',
          'AUTH FOO YWJj',
          'AUTH PLAI',
          QUIT,
        ),
        'EXTERNAL is filtered': stranger(EHLO, 'AUTH EXTERNAL =', QUIT),
        'no base64': stranger(
          EHLO,
          'AUTH PLAIN !!!!',
          'AUTH PLAIN AGpvZQ==x',
          'AUTH LOGIN',
          'not base64',
          'AUTH LOGIN',
          base64('joe'),
          '$',
          QUIT,
        ),
        'an empty response': stranger(EHLO, 'AUTH LOGIN', send('\r\n'), QUIT),
        arguments: stranger(EHLO, 'AUTH', 'AUTH PLAIN a b', 'AUTH PLAIN a b c', QUIT),
        'without EHLO': stranger(JOE, QUIT),
        'after HELO': stranger('HELO client.test', JOE, FROM, FAR, QUIT),
        'in a transaction': stranger(EHLO, FROM, JOE, TO, JOE, 'RSET', JOE, QUIT),
        'EHLO again': stranger(EHLO, JOE, EHLO, FROM, FAR, JOE, QUIT),
        'AUTH= without a login': stranger(
          EHLO,
          `${FROM} AUTH=<>`,
          TO,
          'RSET',
          `${FROM} AUTH=a+3Db`,
          TO,
          QUIT,
        ),
        'AUTH= with a login': stranger(
          EHLO,
          JOE,
          `${FROM} AUTH=a+3Db`,
          FAR,
          'RSET',
          `${FROM} AUTH=<>`,
          FAR,
          QUIT,
        ),
        'gone in the middle': stranger(EHLO, 'AUTH LOGIN', 'half-close', 'await end'),
        'gone at once': stranger(EHLO, JOE, 'half-close', 'await end'),
        'for another client': {
          from: '127.0.0.7',
          steps: ['XCLIENT ADDR=192.0.2.1 LOGIN=bob', EHLO, FROM, FAR, 'RSET', JOE, QUIT],
        },
        'another client after a login': {
          from: '127.0.0.7',
          steps: [EHLO, JOE, 'XCLIENT ADDR=192.0.2.1', EHLO, FROM, FAR, QUIT],
        },
      },
    },
    'no login': {
      main: {
        ...SASL,
        smtpd_sasl_exceptions_networks: '127.0.0.5',
        smtpd_discard_ehlo_keywords: '',
      },
      sessions: {
        'an exception': stranger(EHLO, JOE, QUIT),
        'no exception': { from: '127.0.0.6', steps: [EHLO, JOE, FROM, FAR, QUIT] },
      },
    },
    'other words': {
      main: {
        ...SASL,
        broken_sasl_auth_clients: 'yes',
        smtpd_sasl_mechanism_filter: '!login, plain, anonymous, cram-md5',
        smtpd_sasl_security_options: '',
        smtpd_discard_ehlo_keyword_address_maps: 'inline:{ 127.0.0.6=auth }',
      },
      sessions: {
        EHLO: stranger(EHLO, QUIT),
        'discarded for some': { from: '127.0.0.6', steps: [EHLO, JOE, QUIT] },
        'nobody at all': stranger(
          EHLO,
          'AUTH ANONYMOUS dGVzdA==',
          FROM,
          FAR,
          'RSET',
          FROM,
          TO,
          QUIT,
        ),
      },
    },
    'no plaintext': {
      main: { ...SASL, smtpd_sasl_security_options: 'noplaintext, noanonymous, nodictionary' },
      sessions: { EHLO: stranger(EHLO, JOE, 'AUTH CRAM-MD5', QUIT) },
    },
    'both ways': {
      main: { ...SASL, smtpd_sasl_security_options: 'mutual_auth' },
      sessions: { EHLO: stranger(EHLO, JOE, QUIT) },
    },
    'only with TLS': {
      main: { ...SASL, smtpd_tls_auth_only: 'yes' },
      sessions: { EHLO: stranger(EHLO, JOE, QUIT) },
    },
    'not enabled': {
      main: { smtpd_authorized_xclient_hosts: '127.0.0.7', smtpd_helo_required: 'yes' },
      sessions: {
        AUTH: stranger('AUTH', 'AUTH PLAIN', EHLO, JOE, QUIT),
        'for another client': {
          from: '127.0.0.7',
          steps: ['XCLIENT ADDR=192.0.2.1 LOGIN=bob', EHLO, FROM, FAR, TO, QUIT],
        },
      },
    },
    'who may send': {
      main: {
        ...SASL,
        smtpd_sender_login_maps:
          'inline:{ joe@lab.test=joe, two@lab.test={ann@lab.test, JOE}, bob@lab.test=bob }',
        smtpd_restriction_classes: 'mismatch, known, unauth, auth, access, late',
        mismatch: 'reject_sender_login_mismatch',
        known: 'reject_known_sender_login_mismatch',
        unauth: 'reject_unauthenticated_sender_login_mismatch',
        auth: 'reject_authenticated_sender_login_mismatch',
        access: 'check_sasl_access inline:{ joe=REJECT, ann@lab.test=OK }, reject',
        late: 'permit_sasl_authenticated, reject',
        smtpd_recipient_restrictions:
          'check_recipient_access inline:{ a@lab.test=mismatch, b@lab.test=known, c@lab.test=unauth, d@lab.test=auth, e@lab.test=access, f@lab.test=late }, permit_mynetworks, permit_sasl_authenticated, reject',
        smtpd_reject_unlisted_recipient: 'no',
        smtpd_log_access_permit_actions: 'static:all',
        local_header_rewrite_clients: 'permit_sasl_authenticated',
      },
      sessions: {
        'nobody is logged in': stranger(EHLO, ...senders()),
        'joe is': stranger(EHLO, JOE, ...senders()),
        'ann is': stranger(EHLO, `AUTH PLAIN ${plain('ann@lab.test', 'p w')}`, ...senders()),
      },
    },
    'who may send, and who is warned': {
      main: {
        ...SASL,
        smtpd_sender_login_maps: 'inline:{ joe@lab.test=joe, bob@lab.test=bob }',
        smtpd_restriction_classes: 'early, late, failing',
        early: 'warn_if_reject reject_sender_login_mismatch',
        late: 'check_client_access static:{warn_if_reject reject_sender_login_mismatch, reject}',
        failing: 'warn_if_reject check_sasl_access fail:always, check_sasl_access static:permit',
        smtpd_recipient_restrictions:
          'check_recipient_access inline:{ a@lab.test=early, b@lab.test=late, c@lab.test=failing }, reject',
        smtpd_reject_unlisted_recipient: 'no',
        smtpd_hard_error_limit: '100',
        smtpd_soft_error_limit: '100',
      },
      sessions: {
        'nobody is logged in': stranger(EHLO, ...senders()),
        'joe is': stranger(EHLO, JOE, ...senders()),
      },
    },
    'too often': {
      main: {
        ...SASL,
        smtpd_client_auth_rate_limit: '2',
        smtpd_client_event_limit_exceptions: '',
      },
      sessions: { AUTH: stranger(EHLO, WRONG, 'AUTH', JOE, 'AUTH', QUIT) },
    },
    'few errors': {
      main: { ...SASL, smtpd_hard_error_limit: '3' },
      sessions: { AUTH: stranger(EHLO, WRONG, 'AUTH LOGIN', '*', WRONG, 'await end') },
    },
  };
}

/** All restrictions, with senders of all kinds. */
function senders(): Step[] {
  return ['joe', 'two', 'bob', 'free'].flatMap((name) => [
    `MAIL FROM:<${name}@lab.test>`,
    ...['a', 'b', 'c', 'd', 'e', 'f'].map((to) => `RCPT TO:<${to}@lab.test>`),
    'RSET',
  ]);
}

/** @param certificates the parameters that name them */
export function authWithTls(
  socket: string,
  certificates: Readonly<Record<string, string>>,
): Readonly<Record<string, Setting>> {
  const main = {
    ...certificates,
    smtpd_tls_security_level: 'may',
    smtpd_sasl_auth_enable: 'yes',
    smtpd_sasl_type: 'dovecot',
    smtpd_sasl_path: socket,
  };
  const secured: readonly Step[] = ['STARTTLS', { tls: {} }, EHLO];
  return {
    'AUTH and TLS': {
      main: { ...main, smtpd_tls_auth_only: 'yes' },
      sessions: {
        'only with it': stranger(EHLO, JOE, ...secured, JOE, FROM, FAR, ...MESSAGE, QUIT),
        'a wrong password': stranger(EHLO, ...secured, WRONG, FROM, FAR, QUIT),
      },
    },
    'AUTH, or TLS': {
      main: { ...main, smtpd_sasl_tls_security_options: 'noplaintext, noanonymous' },
      sessions: {
        'a login before it is forgotten': stranger(EHLO, JOE, ...secured, FROM, FAR, QUIT),
        'mechanisms differ': stranger(EHLO, ...secured, JOE, QUIT),
      },
    },
    submission: {
      main: {
        ...main,
        smtpd_tls_security_level: 'encrypt',
        smtpd_relay_restrictions: 'permit_sasl_authenticated,reject',
      },
      sessions: {
        'with it': stranger(EHLO, JOE, FROM, ...secured, FROM, FAR, 'RSET', JOE, FROM, FAR, QUIT),
      },
    },
  };
}
