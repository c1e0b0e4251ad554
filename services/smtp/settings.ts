import type { Configuration } from '../../lib/config/configuration.ts';
import { splitList } from '../../lib/config/list.ts';
import { type Family, parseProtocols } from '../../lib/config/networks.ts';
import type { ParameterName, ValueOf } from '../../lib/config/parameters.ts';

/** smtp(8) and lmtp(8) are one program; each reads its own half of the twin parameters. */
export type Protocol = 'smtp' | 'lmtp';

/** `x` of every pair smtp_x, lmtp_x. */
type Twin = {
  [Name in ParameterName]: Name extends `lmtp_${infer Suffix}`
    ? `smtp_${Suffix}` extends ParameterName
      ? Suffix
      : never
    : never;
}[ParameterName];

/** What the client goes by, under one name for both protocols. Times are milliseconds. */
export type Settings = ReturnType<typeof readSettings>;

/** Reads the parameters once, at start. @throws {ConfigError} */
export function readSettings(configuration: Configuration, protocol: Protocol) {
  const lmtp = protocol === 'lmtp';
  const twin = <S extends Twin>(suffix: S) =>
    configuration.get(`${protocol}_${suffix}` as ParameterName) as ValueOf<`smtp_${S}`>;
  const words = (text: string) => splitList(text.toLowerCase());
  const ms = (seconds: number) => seconds * 1000;
  const milliseconds = (suffix: Twin) => ms(twin(suffix) as number);
  return {
    protocol,
    lmtp,
    myhostname: configuration.get('myhostname'),
    families: parseProtocols(configuration.get('inet_protocols')) as readonly Family[],
    softBounce: configuration.get('soft_bounce'),
    lineLengthMax: configuration.get('line_length_limit'),
    utf8: configuration.get('smtputf8_enable'),
    relayhost: configuration.get('relayhost'),
    bestMxTransport: configuration.get('best_mx_transport'),
    ignoreMxLookupError: configuration.get('ignore_mx_lookup_error'),
    mimeConversion: !configuration.get('disable_mime_output_conversion'),

    heloName: lmtp ? configuration.get('lmtp_lhlo_name') : configuration.get('smtp_helo_name'),
    port: twin('tcp_port'),
    hostLookup: words(twin('host_lookup')),
    dnsEnabled: usesDns(configuration),
    addressPreference: twin('address_preference').toLowerCase(),
    randomizeAddresses: twin('randomize_addresses'),
    balanceProtocols: twin('balance_inet_protocols'),
    deferIfNoMxAddress: twin('defer_if_no_mx_address_found'),
    mxAddressLimit: twin('mx_address_limit'),
    mxSessionLimit: twin('mx_session_limit'),
    fallbackRelay: splitList(twin('fallback_relay')),
    bindAddress: twin('bind_address'),
    bindAddress6: twin('bind_address6'),

    alwaysSendEhlo: lmtp || configuration.get('smtp_always_send_ehlo'),
    neverSendEhlo: !lmtp && configuration.get('smtp_never_send_ehlo'),
    skip5xxGreeting: twin('skip_5xx_greeting'),
    skipQuitResponse: twin('skip_quit_response'),
    quoteEnvelope: twin('quote_rfc821_envelope'),
    lineLengthLimit: twin('line_length_limit'),
    sendXforward: twin('send_xforward_command'),
    verifyTarget: twin('address_verify_target').toLowerCase(),
    assumeFinal: lmtp && configuration.get('lmtp_assume_final'),
    pixWorkarounds: words(twin('pix_workarounds')),
    pixThresholdMs: milliseconds('pix_workaround_threshold_time'),
    pixDelayMs: milliseconds('pix_workaround_delay_time'),
    discardedKeywords: words(
      lmtp
        ? configuration.get('lmtp_discard_lhlo_keywords')
        : configuration.get('smtp_discard_ehlo_keywords'),
    ),

    connectMs: milliseconds('connect_timeout'),
    heloMs: ms(
      lmtp ? configuration.get('lmtp_lhlo_timeout') : configuration.get('smtp_helo_timeout'),
    ),
    xforwardMs: milliseconds('xforward_timeout'),
    mailMs: milliseconds('mail_timeout'),
    rcptMs: milliseconds('rcpt_timeout'),
    dataInitMs: milliseconds('data_init_timeout'),
    dataXferMs: milliseconds('data_xfer_timeout'),
    dataDoneMs: milliseconds('data_done_timeout'),
    rsetMs: milliseconds('rset_timeout'),
    quitMs: milliseconds('quit_timeout'),

    cacheOnDemand: twin('connection_cache_on_demand'),
    cacheDestinations: words(twin('connection_cache_destinations')),
    cacheMs: milliseconds('connection_cache_time_limit'),
    reuseCountLimit: twin('connection_reuse_count_limit'),
    reuseMs: milliseconds('connection_reuse_time_limit'),
  };
}

/** smtp_dns_support_level; the obsolete disable_dns_lookups is its `disabled`. */
function usesDns(configuration: Configuration): boolean {
  const level = configuration.get('smtp_dns_support_level');
  return level === '' ? !configuration.get('disable_dns_lookups') : level !== 'disabled';
}
