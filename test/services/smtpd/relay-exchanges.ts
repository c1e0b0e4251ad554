/** Who may send where. SMTPD_RELAY_README. */
import type { Settings } from './compare.ts';
import { TRICKS } from './relay-tricks.ts';
import { addresses, EHLO, QUIT, recipients, stranger } from './steps.ts';

export const RELAY_SETTINGS: Settings = {
  'relay control refuses for good': {
    main: {
      smtpd_relay_restrictions: 'permit_mynetworks, reject_unauth_destination',
      relay_domains_reject_code: '550',
    },
    sessions: {
      'a stranger': stranger(
        ...addresses('someone@far.test', 'root@lab.test', 'x%far.test@lab.test'),
      ),
      'one of us': addresses('someone@far.test', 'x%far.test@lab.test', 'far.test!x'),
    },
  },
  'relay control comes last': {
    main: {
      smtpd_relay_before_recipient_restrictions: 'no',
      smtpd_recipient_restrictions: 'reject_non_fqdn_recipient, permit',
    },
    sessions: {
      'a stranger': stranger(...addresses('someone@far.test', 'someone', 'root@lab.test')),
    },
  },
  'relay control by destination': {
    main: { smtpd_relay_restrictions: 'permit_auth_destination, reject' },
    sessions: {
      'a stranger': stranger(...addresses('someone@far.test', 'root@lab.test', 'known@relay.test')),
      'one of us': addresses('someone@far.test', 'root@lab.test', 'x%far.test@lab.test'),
    },
  },
  'relay tricks': {
    main: { smtpd_hard_error_limit: '1000' },
    sessions: {
      'a stranger': stranger(...recipients(...TRICKS.map((path) => `TO:${path}`))),
      'a stranger with Unicode': stranger(
        EHLO,
        'MAIL FROM:<ann@client.test> SMTPUTF8',
        ...TRICKS.map((path) => `RCPT TO:${path}`),
        QUIT,
      ),
      'one of us': recipients(...TRICKS.map((path) => `TO:${path}`)),
    },
  },
  'untrusted routing': {
    main: { allow_untrusted_routing: 'yes' },
    sessions: {
      'a stranger': stranger(
        ...addresses(
          'someone%far.test@lab.test',
          'someone%far.test@relay.test',
          'someone@far.test@lab.test',
          'far.test!someone@relay.test',
        ),
      ),
    },
  },
  'own interfaces only': {
    main: { smtpd_relay_restrictions: 'permit_inet_interfaces, reject_unauth_destination' },
    sessions: {
      'one of us': addresses('someone@far.test'),
      'a stranger': stranger(...addresses('someone@far.test')),
    },
  },
  'networks that nobody can read': {
    main: { mynetworks: '127.0.0.1/8', smtpd_client_event_limit_exceptions: '' },
    sessions: { 'a client': stranger(...addresses('someone@far.test', 'root@lab.test')) },
  },
};
