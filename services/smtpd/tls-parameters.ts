/** The parameters of TLS that smtpd honours. */
import { SERVER_TLS_PARAMETERS } from '../../lib/tls/server-parameters.ts';

export const TLS_PARAMETERS = [
  ...SERVER_TLS_PARAMETERS,
  'relay_clientcerts',
  'smtpd_client_new_tls_session_rate_limit',
  'smtpd_starttls_timeout',
  'smtpd_tls_auth_only',
] as const;

/** What Node's TLS does not let anybody choose. */
export const NOT_BUILT = [
  'smtpd_tls_always_issue_session_ids',
  'smtpd_tls_dh512_param_file',
  'tls_config_file',
  'tls_config_name',
  'tls_daemon_random_bytes',
  'tls_legacy_public_key_fingerprints',
  'tls_session_ticket_cipher',
] as const;
