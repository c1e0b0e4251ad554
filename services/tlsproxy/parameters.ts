/** The parameters that tlsproxy honours: clones of smtpd's, so that it may have others. */
import type { ParametersOf } from '../../lib/server/service.ts';
import { COMMON_TLS_PARAMETERS, type Settings } from '../../lib/tls/server-parameters.ts';

/** Read and checked, but as in Postfix 3.7 nobody looks at them. */
export const NOT_BUILT = [
  'tls_eecdh_strong_curve',
  'tls_eecdh_ultra_curve',
  'tlsproxy_tls_eecdh_grade',
] as const;

export const PARAMETERS = [
  ...COMMON_TLS_PARAMETERS,
  ...NOT_BUILT,
  'tlsproxy_enforce_tls',
  'tlsproxy_tls_CAfile',
  'tlsproxy_tls_CApath',
  'tlsproxy_tls_ask_ccert',
  'tlsproxy_tls_ccert_verifydepth',
  'tlsproxy_tls_cert_file',
  'tlsproxy_tls_chain_files',
  'tlsproxy_tls_ciphers',
  'tlsproxy_tls_dcert_file',
  'tlsproxy_tls_dh1024_param_file',
  'tlsproxy_tls_dkey_file',
  'tlsproxy_tls_eccert_file',
  'tlsproxy_tls_eckey_file',
  'tlsproxy_tls_exclude_ciphers',
  'tlsproxy_tls_fingerprint_digest',
  'tlsproxy_tls_key_file',
  'tlsproxy_tls_loglevel',
  'tlsproxy_tls_mandatory_ciphers',
  'tlsproxy_tls_mandatory_exclude_ciphers',
  'tlsproxy_tls_mandatory_protocols',
  'tlsproxy_tls_protocols',
  'tlsproxy_tls_req_ccert',
  'tlsproxy_tls_security_level',
  'tlsproxy_use_tls',
  'tlsproxy_watchdog_timeout',
] as const;

export type Name = (typeof PARAMETERS)[number];

/** The same under the names that every server has them by. */
export function serverSettings(own: ParametersOf<Name>): Settings {
  return {
    ...own,
    smtpd_enforce_tls: own.tlsproxy_enforce_tls,
    smtpd_tls_CAfile: own.tlsproxy_tls_CAfile,
    smtpd_tls_CApath: own.tlsproxy_tls_CApath,
    smtpd_tls_ask_ccert: own.tlsproxy_tls_ask_ccert,
    smtpd_tls_ccert_verifydepth: own.tlsproxy_tls_ccert_verifydepth,
    smtpd_tls_cert_file: own.tlsproxy_tls_cert_file,
    smtpd_tls_chain_files: own.tlsproxy_tls_chain_files,
    smtpd_tls_ciphers: own.tlsproxy_tls_ciphers,
    smtpd_tls_dcert_file: own.tlsproxy_tls_dcert_file,
    smtpd_tls_dh1024_param_file: own.tlsproxy_tls_dh1024_param_file,
    smtpd_tls_dkey_file: own.tlsproxy_tls_dkey_file,
    smtpd_tls_eccert_file: own.tlsproxy_tls_eccert_file,
    smtpd_tls_eckey_file: own.tlsproxy_tls_eckey_file,
    smtpd_tls_eecdh_grade: own.tlsproxy_tls_eecdh_grade,
    smtpd_tls_exclude_ciphers: own.tlsproxy_tls_exclude_ciphers,
    smtpd_tls_fingerprint_digest: own.tlsproxy_tls_fingerprint_digest,
    smtpd_tls_key_file: own.tlsproxy_tls_key_file,
    smtpd_tls_loglevel: own.tlsproxy_tls_loglevel,
    smtpd_tls_mandatory_ciphers: own.tlsproxy_tls_mandatory_ciphers,
    smtpd_tls_mandatory_exclude_ciphers: own.tlsproxy_tls_mandatory_exclude_ciphers,
    smtpd_tls_mandatory_protocols: own.tlsproxy_tls_mandatory_protocols,
    smtpd_tls_protocols: own.tlsproxy_tls_protocols,
    smtpd_tls_req_ccert: own.tlsproxy_tls_req_ccert,
    smtpd_tls_security_level: own.tlsproxy_tls_security_level,
    smtpd_use_tls: own.tlsproxy_use_tls,
    // It is not asked for a header, and always begins after the client has.
    smtpd_tls_received_header: false,
    smtpd_tls_wrappermode: false,
  };
}
