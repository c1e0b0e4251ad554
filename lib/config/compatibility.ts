/**
 * Defaults that hold only because compatibility_level is old. Whatever decides by one of them says so
 * in the log, so that an administrator can set it before raising the level. Postfix:
 * COMPATIBILITY_README.
 */
import type { Configuration } from './configuration.ts';

/** The level at which each default changed. */
const CHANGED_AT = {
  append_dot_mydomain: '1',
  smtpd_relay_restrictions: '1',
  smtputf8_enable: '1',
  fast_flush_domains: '2',
  mynetworks_style: '2',
  relay_domains: '2',
  smtpd_relay_before_recipient_restrictions: '3.6',
  smtpd_tls_fingerprint_digest: '3.6',
} as const;

export type ChangedDefault = keyof typeof CHANGED_AT;

/** Other parameters that, when they are set, make the default of this one unimportant. */
const DECIDED_BY: Readonly<Partial<Record<ChangedDefault, string>>> = {
  fast_flush_domains: 'relay_domains',
  mynetworks_style: 'mynetworks',
};

/** What a line in the log begins with. */
export const OLD_DEFAULT = 'using backwards-compatible default setting';

/** Whether compatibility_level is below `level`. @throws {ConfigError} when it is none */
export function isLevelBelow(configuration: Configuration, level: string): boolean {
  return configuration.expand('$' + `{{$compatibility_level} <level {${level}} ? {old}}`) !== '';
}

/** Whether a parameter has its default, and that is an old one. */
export function hasOldDefault(configuration: Configuration, name: ChangedDefault): boolean {
  if (configuration.isSet(name) || configuration.isSet(DECIDED_BY[name] ?? name)) return false;
  return isLevelBelow(configuration, CHANGED_AT[name]);
}
