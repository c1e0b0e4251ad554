/** The parameters of TLS that every server of ours honours. */
import type { ParametersOf } from '../server/service.ts';

/** Read and checked, but as in Postfix 3.7 nobody looks at the grade, and at the curves of grades. */
export const NOT_BUILT = [
  'smtpd_tls_eecdh_grade',
  'tls_eecdh_strong_curve',
  'tls_eecdh_ultra_curve',
] as const;

/** These have one name for all. */
export const COMMON_TLS_PARAMETERS = [
  'tls_append_default_CA',
  'tls_disable_workarounds',
  'tls_eecdh_auto_curves',
  'tls_export_cipherlist',
  'tls_high_cipherlist',
  'tls_low_cipherlist',
  'tls_medium_cipherlist',
  'tls_null_cipherlist',
  'tls_preempt_cipherlist',
  'tls_server_sni_maps',
  'tls_ssl_options',
  'tlsmgr_service_name',
] as const;

/** As smtpd calls them. */
export const SERVER_TLS_PARAMETERS = [
  'smtpd_enforce_tls',
  'smtpd_tls_CAfile',
  'smtpd_tls_CApath',
  'smtpd_tls_ask_ccert',
  'smtpd_tls_ccert_verifydepth',
  'smtpd_tls_cert_file',
  'smtpd_tls_chain_files',
  'smtpd_tls_ciphers',
  'smtpd_tls_dcert_file',
  'smtpd_tls_dh1024_param_file',
  'smtpd_tls_dkey_file',
  'smtpd_tls_eccert_file',
  'smtpd_tls_eckey_file',
  'smtpd_tls_exclude_ciphers',
  'smtpd_tls_fingerprint_digest',
  'smtpd_tls_key_file',
  'smtpd_tls_loglevel',
  'smtpd_tls_mandatory_ciphers',
  'smtpd_tls_mandatory_exclude_ciphers',
  'smtpd_tls_mandatory_protocols',
  'smtpd_tls_protocols',
  'smtpd_tls_received_header',
  'smtpd_tls_req_ccert',
  'smtpd_tls_security_level',
  'smtpd_tls_wrappermode',
  'smtpd_use_tls',
  ...COMMON_TLS_PARAMETERS,
  ...NOT_BUILT,
] as const;

export type ServerTlsName = (typeof SERVER_TLS_PARAMETERS)[number];
export type Settings = ParametersOf<ServerTlsName>;
