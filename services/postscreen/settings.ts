/** What main.cf says about the tests. */
import type { Configuration } from '../../lib/config/configuration.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { ParametersOf } from '../../lib/server/service.ts';
import type { Name } from './parameters.ts';
import type { Test } from './reputation.ts';

export type Parameters = ParametersOf<Name>;

/** What follows when a client fails a test. */
export type Action = 'ignore' | 'enforce' | 'drop';

export interface TestSettings {
  readonly isEnabled: boolean;
  readonly action: Action;
  /** Seconds that a success is good for; of `dnsbl`, at most. */
  readonly ttl: number;
}

/** @throws {FatalError} when an action is none */
export function readTests(parameters: Parameters): Readonly<Record<Test, TestSettings>> {
  const deep = (name: 'pipelining' | 'non_smtp_command' | 'bare_newline') => ({
    isEnabled: parameters[`postscreen_${name}_enable`],
    action: readAction(parameters, `postscreen_${name}_action`),
    ttl: parameters[`postscreen_${name}_ttl`],
  });
  return {
    pregreet: {
      isEnabled: parameters.postscreen_greet_banner !== '',
      action: readAction(parameters, 'postscreen_greet_action'),
      ttl: parameters.postscreen_greet_ttl,
    },
    dnsbl: {
      isEnabled: parameters.postscreen_dnsbl_sites !== '',
      action: readAction(parameters, 'postscreen_dnsbl_action'),
      ttl: parameters.postscreen_dnsbl_max_ttl,
    },
    pipelining: deep('pipelining'),
    nonSmtp: deep('non_smtp_command'),
    bareNewline: deep('bare_newline'),
  };
}

type ActionName = Extract<Name, `postscreen_${string}_action`>;

/** @throws {FatalError} */
export function readAction(parameters: Parameters, name: ActionName): Action {
  const word = parameters[name].toLowerCase();
  if (word === 'drop' || word === 'enforce' || word === 'ignore') return word;
  // What Postfix called it first.
  if (word === 'continue') return 'ignore';
  throw new FatalError(`bad ${name} value: ${parameters[name]}; it can be ignore, enforce or drop`);
}

/** Limits of time, in seconds, that are shorter while too many clients come. */
export interface StressLimits {
  readonly greetWait: number;
  readonly commandTime: number;
}

export function readLimits(configuration: Configuration): StressLimits {
  return {
    greetWait: configuration.get('postscreen_greet_wait'),
    commandTime: configuration.get('postscreen_command_time_limit'),
  };
}

/** What postscreen_tls_security_level can be, and what is no level for a server. */
const LEVELS = ['none', 'may', 'encrypt'];
const CLIENT_LEVELS = ['dane', 'dane-only', 'fingerprint', 'verify', 'secure'];

/**
 * Whether STARTTLS is to be offered, and asked for.
 *
 * @throws {FatalError} when the level is none
 */
export function readTls(
  parameters: Parameters,
  warn: (text: string) => void,
): { isOffered: boolean; isRequired: boolean } {
  const { postscreen_tls_security_level: level } = parameters;
  if (level === '') {
    const isRequired = parameters.postscreen_enforce_tls;
    return { isOffered: parameters.postscreen_use_tls || isRequired, isRequired };
  }
  if (CLIENT_LEVELS.includes(level)) {
    warn(`postscreen_tls_security_level: unsupported TLS level "${level}", using "encrypt"`);
  } else if (!LEVELS.includes(level)) {
    throw new FatalError(
      `Invalid TLS level "${level}"; postscreen_tls_security_level can be ${LEVELS.join(', ')}`,
    );
  }
  return { isOffered: level !== 'none', isRequired: level !== 'none' && level !== 'may' };
}
