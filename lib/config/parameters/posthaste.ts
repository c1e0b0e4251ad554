/** Parameters that Postfix does not have. */
import { bool, int, list, seconds, text } from '../kind.ts';

export const posthasteParameters = {
  auth_failure_delay: seconds('2s'), // before a client hears that its password is wrong
  auth_minimum_uid: int('1000'), // users of the machine with lower numbers do not log in
  auth_sources: list('system'), // `system`, `pam`, files: /etc/postfix/passwords
  dns_nameservers: list(''), // `127.0.0.1:5353`; empty: those of /etc/resolv.conf
  maillog_format: text('postfix', { min: 1 }), // or `json`
  pattern_time_limit: seconds('30s'), // for the lines of a message, put to regexp: and pcre: tables
  queue_journal_enable: bool('yes'), // new messages are synced together, in a journal
  service_processes: int('0'), // of one service, at most; 0: the number of processors
  smtpd_sasl_failure_limit: int('5'), // wrong passwords in one session; 0: any number
};
