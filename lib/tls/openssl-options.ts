/** `tls_ssl_options`, `tls_disable_workarounds`: names of OpenSSL's switches, as bits. Pure. */
import { splitList } from '../config/list.ts';
import type { TlsVersion } from './protocols.ts';

/** OpenSSL 3: ssl.h. Node has no names for all of them. */
const WORKAROUNDS: Readonly<Record<string, number>> = {
  CRYPTOPRO_TLSEXT_BUG: 2 ** 31,
  DONT_INSERT_EMPTY_FRAGMENTS: 2 ** 11,
  SAFARI_ECDHE_ECDSA_BUG: 2 ** 6,
  TLSEXT_PADDING: 2 ** 4,
  // Named by older versions, and without any effect since.
  LEGACY_SERVER_CONNECT: 0,
  MICROSOFT_BIG_SSLV3_BUFFER: 0,
  MICROSOFT_SESS_ID_BUG: 0,
  MSIE_SSLV2_RSA_PADDING: 0,
  NETSCAPE_CHALLENGE_BUG: 0,
  NETSCAPE_REUSE_CIPHER_CHANGE_BUG: 0,
  SSLEAY_080_CLIENT_DH_BUG: 0,
  SSLREF2_REUSE_CERT_TYPE_BUG: 0,
  TLS_BLOCK_PADDING_BUG: 0,
  TLS_D5_BUG: 0,
  TLS_ROLLBACK_BUG: 0,
  'CVE-2005-2969': 0,
  'CVE-2010-4180': 0,
};

const NO_TICKET = 2 ** 14;

const SWITCHES: Readonly<Record<string, number>> = {
  ENABLE_MIDDLEBOX_COMPAT: 2 ** 20,
  LEGACY_SERVER_CONNECT: 2 ** 2,
  NO_COMPRESSION: 2 ** 17,
  NO_RENEGOTIATION: 2 ** 30,
  NO_SESSION_RESUMPTION_ON_RENEGOTIATION: 2 ** 16,
  NO_TICKET,
  PRIORITIZE_CHACHA: 2 ** 21,
};

const NO_VERSION: Readonly<Record<TlsVersion, number>> = {
  TLSv1: 2 ** 26,
  'TLSv1.1': 2 ** 28,
  'TLSv1.2': 2 ** 27,
  'TLSv1.3': 2 ** 29,
};

/** No mail client asks for renegotiation, and compression leaks: neither, whatever is set. */
const ALWAYS = 2 ** 30 + 2 ** 17;
const SERVER_CHOOSES_CIPHER = 2 ** 22;
const HEXADECIMAL = /^(?:0x)?[0-9a-f]{1,8}$/i;

export interface OptionWishes {
  /** Versions of TLS that may be spoken. */
  readonly versions: readonly TlsVersion[];
  /** tls_ssl_options */
  readonly options: string;
  /** tls_disable_workarounds */
  readonly disabledWorkarounds: string;
  /** tls_preempt_cipherlist */
  readonly serverChoosesCipher: boolean;
}

/** @param warn told of names that mean nothing */
export function opensslOptions(wishes: OptionWishes, warn: (text: string) => void): number {
  let bits = union(...Object.values(WORKAROUNDS));
  for (const word of splitList(wishes.disabledWorkarounds)) {
    const value = bitsOf(word, WORKAROUNDS);
    if (value === undefined) {
      warn(`unknown tls_disable_workarounds value "${word}" in "${wishes.disabledWorkarounds}"`);
    }
    bits = (bits & ~(value ?? 0)) >>> 0;
  }
  for (const word of splitList(wishes.options)) {
    const value = bitsOf(word, SWITCHES);
    if (value === undefined) {
      warn(`unknown tls_ssl_options value "${word}" in "${wishes.options}"`);
    }
    bits = union(bits, value ?? 0);
  }
  for (const [version, bit] of Object.entries(NO_VERSION)) {
    if (!wishes.versions.includes(version as TlsVersion)) bits = union(bits, bit);
  }
  if (wishes.serverChoosesCipher) bits = union(bits, SERVER_CHOOSES_CIPHER);
  return union(bits, ALWAYS);
}

/** For a server whose sessions end with their connections. */
export function withoutTickets(options: number): number {
  return union(options, NO_TICKET);
}

/** Bit 31 must not become a sign. */
function union(...values: readonly number[]): number {
  return values.reduce((all, value) => (all | value) >>> 0, 0);
}

function bitsOf(word: string, names: Readonly<Record<string, number>>): number | undefined {
  const known = Object.entries(names).find(([name]) => name === word.toUpperCase());
  if (known !== undefined) return known[1];
  return HEXADECIMAL.test(word) ? Number.parseInt(word, 16) : undefined;
}
