/** The programs people type, and where things are installed. */
import { list, maps, text } from '../kind.ts';

export const commandsParameters = {
  authorized_flush_users: list('static:anyone'),
  authorized_mailq_users: list('static:anyone'),
  authorized_submit_users: list('static:anyone'),
  empty_address_local_login_sender_maps_lookup_key: text('<>'),
  html_directory: text('/usr/share/doc/postfix/html', { min: 1 }),
  local_login_sender_maps: maps('static:*'),
  mailq_path: text('/usr/bin/mailq', { min: 1 }),
  manpage_directory: text('/usr/share/man', { min: 1 }),
  newaliases_path: text('/usr/bin/newaliases', { min: 1 }),
  readme_directory: text('/usr/share/doc/postfix', { min: 1 }),
  sample_directory: text('/etc/postfix', { min: 1 }),
  sendmail_fix_line_endings: text('always', { min: 1 }),
  sendmail_path: text('/usr/sbin/sendmail', { min: 1 }),
};
