/** Parameters that Postfix does not have. */
import { bool, int, list, seconds, text } from '../kind.ts';

export const posthasteParameters = {
  dns_nameservers: list(''), // `127.0.0.1:5353`; empty: those of /etc/resolv.conf
  maillog_format: text('postfix', { min: 1 }), // or `json`
  pattern_time_limit: seconds('30s'), // for the lines of a message, put to regexp: and pcre: tables
  queue_journal_enable: bool('yes'), // new messages are synced together, in a journal
  service_processes: int('0'), // of one service, at most; 0: the number of processors
};
