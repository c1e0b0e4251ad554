/** Milters: the mail filter protocol, in smtpd(8) and cleanup(8). */
import { list, maps, seconds, text } from '../kind.ts';

export const milterParameters = {
  milter_command_timeout: seconds('30s', { min: 1 }),
  milter_connect_macros: list('j {daemon_name} {daemon_addr} v _'),
  milter_connect_timeout: seconds('30s', { min: 1 }),
  milter_content_timeout: seconds('300s', { min: 1 }),
  milter_data_macros: list('i'),
  milter_default_action: text('tempfail', { min: 1 }),
  milter_end_of_data_macros: list('i'),
  milter_end_of_header_macros: list('i'),
  milter_header_checks: maps(''),
  milter_helo_macros: list('{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}'),
  milter_macro_daemon_name: text('$myhostname', { min: 1 }),
  milter_macro_defaults: list(''),
  milter_macro_v: text('$mail_name $mail_version', { min: 1 }),
  milter_mail_macros: list(
    'i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}',
  ),
  milter_protocol: text('6', { min: 1 }),
  milter_rcpt_macros: list('i {rcpt_addr} {rcpt_host} {rcpt_mailer}'),
  milter_unknown_command_macros: list(''),
  non_smtpd_milters: list(''),
  smtpd_milter_maps: maps(''),
  smtpd_milters: list(''),
};
