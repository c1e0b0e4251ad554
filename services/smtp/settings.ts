import type { Configuration } from '../../lib/config/configuration.ts';
import { splitList } from '../../lib/config/list.ts';
import { type Family, parseProtocols } from '../../lib/config/networks.ts';
import type { ParameterName, ValueOf } from '../../lib/config/parameters.ts';

/** smtp(8) and lmtp(8) are one program; each reads its own half of the twin parameters. */
export type Protocol = 'smtp' | 'lmtp';

/** What the client goes by, under one name for both protocols. Times are milliseconds. */
export type Settings = ReturnType<typeof readSettings>;

/** Reads the parameters once, at start. @throws {ConfigError} */
export function readSettings(configuration: Configuration, protocol: Protocol) {
  const lmtp = protocol === 'lmtp';
  const either = <S extends ParameterName, L extends ParameterName>(ofSmtp: S, ofLmtp: L) =>
    configuration.get(lmtp ? ofLmtp : ofSmtp) as ValueOf<S | L>;
  const words = (text: string) => splitList(text.toLowerCase());
  const ms = (seconds: number) => seconds * 1000;
  return {
    protocol,
    lmtp,
    myhostname: configuration.get('myhostname'),
    families: parseProtocols(configuration.get('inet_protocols')) as readonly Family[],
    softBounce: configuration.get('soft_bounce'),
    lineLengthMax: configuration.get('line_length_limit'),
    utf8: configuration.get('smtputf8_enable'),
    relayhost: configuration.get('relayhost'),
    keepsTranscript: words(configuration.get('notify_classes')).includes('protocol'),
    bestMxTransport: configuration.get('best_mx_transport'),
    ignoreMxLookupError: configuration.get('ignore_mx_lookup_error'),
    mimeConversion: !configuration.get('disable_mime_output_conversion'),

    heloName: either('smtp_helo_name', 'lmtp_lhlo_name'),
    port: either('smtp_tcp_port', 'lmtp_tcp_port'),
    hostLookup: words(either('smtp_host_lookup', 'lmtp_host_lookup')),
    dnsEnabled: usesDns(
      either('smtp_dns_support_level', 'lmtp_dns_support_level'),
      configuration.get('disable_dns_lookups'),
    ),
    addressPreference: either('smtp_address_preference', 'lmtp_address_preference').toLowerCase(),
    randomizeAddresses: either('smtp_randomize_addresses', 'lmtp_randomize_addresses'),
    balanceProtocols: either('smtp_balance_inet_protocols', 'lmtp_balance_inet_protocols'),
    deferIfNoMxAddress: either(
      'smtp_defer_if_no_mx_address_found',
      'lmtp_defer_if_no_mx_address_found',
    ),
    mxAddressLimit: either('smtp_mx_address_limit', 'lmtp_mx_address_limit'),
    mxSessionLimit: either('smtp_mx_session_limit', 'lmtp_mx_session_limit'),
    fallbackRelay: splitList(either('smtp_fallback_relay', 'lmtp_fallback_relay')),
    bindAddress: either('smtp_bind_address', 'lmtp_bind_address'),
    bindAddress6: either('smtp_bind_address6', 'lmtp_bind_address6'),
    bindAddressEnforce: either('smtp_bind_address_enforce', 'lmtp_bind_address_enforce'),

    alwaysSendEhlo: lmtp || configuration.get('smtp_always_send_ehlo'),
    neverSendEhlo: !lmtp && configuration.get('smtp_never_send_ehlo'),
    skip5xxGreeting: either('smtp_skip_5xx_greeting', 'lmtp_skip_5xx_greeting'),
    skipQuitResponse: either('smtp_skip_quit_response', 'lmtp_skip_quit_response'),
    quoteEnvelope: either('smtp_quote_rfc821_envelope', 'lmtp_quote_rfc821_envelope'),
    lineLengthLimit: either('smtp_line_length_limit', 'lmtp_line_length_limit'),
    sendXforward: either('smtp_send_xforward_command', 'lmtp_send_xforward_command'),
    verifyTarget: either('smtp_address_verify_target', 'lmtp_address_verify_target').toLowerCase(),
    assumeFinal: lmtp && configuration.get('lmtp_assume_final'),
    pixWorkarounds: words(either('smtp_pix_workarounds', 'lmtp_pix_workarounds')),
    pixThresholdMs: ms(
      either('smtp_pix_workaround_threshold_time', 'lmtp_pix_workaround_threshold_time'),
    ),
    pixDelayMs: ms(either('smtp_pix_workaround_delay_time', 'lmtp_pix_workaround_delay_time')),
    discardedKeywords: words(either('smtp_discard_ehlo_keywords', 'lmtp_discard_lhlo_keywords')),

    connectMs: ms(either('smtp_connect_timeout', 'lmtp_connect_timeout')),
    heloMs: ms(either('smtp_helo_timeout', 'lmtp_lhlo_timeout')),
    xforwardMs: ms(either('smtp_xforward_timeout', 'lmtp_xforward_timeout')),
    mailMs: ms(either('smtp_mail_timeout', 'lmtp_mail_timeout')),
    rcptMs: ms(either('smtp_rcpt_timeout', 'lmtp_rcpt_timeout')),
    dataInitMs: ms(either('smtp_data_init_timeout', 'lmtp_data_init_timeout')),
    dataXferMs: ms(either('smtp_data_xfer_timeout', 'lmtp_data_xfer_timeout')),
    dataDoneMs: ms(either('smtp_data_done_timeout', 'lmtp_data_done_timeout')),
    rsetMs: ms(either('smtp_rset_timeout', 'lmtp_rset_timeout')),
    quitMs: ms(either('smtp_quit_timeout', 'lmtp_quit_timeout')),

    cacheOnDemand: either('smtp_connection_cache_on_demand', 'lmtp_connection_cache_on_demand'),
    cacheDestinations: words(
      either('smtp_connection_cache_destinations', 'lmtp_connection_cache_destinations'),
    ),
    cacheMs: ms(either('smtp_connection_cache_time_limit', 'lmtp_connection_cache_time_limit')),
    reuseCountLimit: either(
      'smtp_connection_reuse_count_limit',
      'lmtp_connection_reuse_count_limit',
    ),
    reuseMs: ms(either('smtp_connection_reuse_time_limit', 'lmtp_connection_reuse_time_limit')),
  };
}

/** smtp_dns_support_level; the obsolete disable_dns_lookups is its `disabled`. */
function usesDns(level: string, disabled: boolean): boolean {
  return level === '' ? !disabled : level !== 'disabled';
}
