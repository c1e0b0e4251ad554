/** The parameters of TLS as servers use them: what they say together. Pure. */
import { splitList } from '../config/configuration.ts';
import { FatalError } from '../log/fatal.ts';
import { cipherList } from './ciphers.ts';
import { opensslOptions } from './openssl-options.ts';
import { parseProtocols, type TlsVersion } from './protocols.ts';
import type { Settings } from './server-parameters.ts';

export type TlsLevel = 'none' | 'may' | 'encrypt';

/** Whether clients may, or must, use TLS, and what is asked of them then. */
export interface TlsDemands {
  readonly level: TlsLevel;
  /** TLS comes before everything else: smtps. */
  readonly isWrapped: boolean;
  readonly asksForCertificate: boolean;
  readonly requiresCertificate: boolean;
}

type Warn = (text: string) => void;

/** Levels of the SMTP client: here they mean what they can. */
const CLIENT_LEVELS: ReadonlySet<string> = new Set([
  'fingerprint',
  'half-dane',
  'dane',
  'dane-only',
  'verify',
  'secure',
]);

/** @throws {FatalError} when there is no such level */
export function readDemands(settings: Settings, warn: Warn): TlsDemands {
  const isWrapped = settings.smtpd_tls_wrappermode;
  const level = isWrapped ? 'encrypt' : readLevel(settings, warn);
  const requires = settings.smtpd_tls_req_ccert;
  if (level !== 'none' && level !== 'encrypt' && requires) {
    warn("Can't require client certs unless TLS is required");
  }
  const requiresCertificate = level === 'encrypt' && requires;
  return {
    level,
    isWrapped,
    asksForCertificate: settings.smtpd_tls_ask_ccert || requiresCertificate,
    requiresCertificate,
  };
}

function readLevel(settings: Settings, warn: Warn): TlsLevel {
  const { smtpd_tls_security_level: given, smtpd_enforce_tls, smtpd_use_tls } = settings;
  // The level takes the place of what stood for it before Postfix 2.3.
  if (given === '') return smtpd_enforce_tls ? 'encrypt' : smtpd_use_tls ? 'may' : 'none';
  const level = given.toLowerCase();
  if (level === 'none' || level === 'may' || level === 'encrypt') return level;
  if (!CLIENT_LEVELS.has(level)) throw new FatalError(`Invalid TLS level "${given}"`);
  warn(`smtpd_tls_security_level: unsupported TLS level "${given}", using "encrypt"`);
  return 'encrypt';
}

/** @throws {TlsSettingError} */
export function readVersions(settings: Settings, level: TlsLevel): readonly TlsVersion[] {
  const isMandatory = level === 'encrypt';
  return parseProtocols(
    isMandatory ? settings.smtpd_tls_mandatory_protocols : settings.smtpd_tls_protocols,
  );
}

/** @throws {TlsSettingError} */
export function readCiphers(settings: Settings, { level, asksForCertificate }: TlsDemands): string {
  const isMandatory = level === 'encrypt';
  const grade = isMandatory ? settings.smtpd_tls_mandatory_ciphers : settings.smtpd_tls_ciphers;
  const exclusions = [
    settings.smtpd_tls_exclude_ciphers,
    isMandatory ? settings.smtpd_tls_mandatory_exclude_ciphers : '',
    // Who shows no certificate himself can't ask for one.
    asksForCertificate ? 'aNULL' : '',
  ];
  return cipherList(grade, exclusions, {
    high: settings.tls_high_cipherlist,
    medium: settings.tls_medium_cipherlist,
    low: settings.tls_low_cipherlist,
    export: settings.tls_export_cipherlist,
    null: settings.tls_null_cipherlist,
  });
}

export function readOptions(
  settings: Settings,
  versions: readonly TlsVersion[],
  warn: Warn,
): number {
  const wishes = {
    versions,
    options: settings.tls_ssl_options,
    disabledWorkarounds: settings.tls_disable_workarounds,
    serverChoosesCipher: settings.tls_preempt_cipherlist,
  };
  return opensslOptions(wishes, warn);
}

/** The names of the groups that keys may be exchanged in. Grades count no more since Postfix 3.6. */
export function readGroups(settings: Settings): string[] {
  return splitList(settings.tls_eecdh_auto_curves);
}

/** `0` to `4`: lines of the log about TLS. */
export function readLogLevel(text: string): number {
  const words: Readonly<Record<string, number>> = {
    none: 0,
    routine: 1,
    debug: 2,
    'ssl-expert': 3,
    'ssl-developer': 4,
  };
  return words[text.toLowerCase()] ?? (/^\d$/.test(text) ? Number(text) : 0);
}
