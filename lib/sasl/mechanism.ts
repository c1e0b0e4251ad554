/** Authentication mechanisms by what they give away, and smtpd_sasl_security_options. Pure. */
import { FatalError } from '../log/fatal.ts';

/** Dovecot's words for what a mechanism is like. */
const PROPERTIES = [
  /** Anybody may. */
  'anonymous',
  /** The password goes over the wire. */
  'plaintext',
  /** Who listens can try passwords at leisure. */
  'dictionary',
  /** Who stands between can take part. */
  'active',
  'forward-secrecy',
  /** The server has to prove itself, too. */
  'mutual-auth',
  /** Not for the public. */
  'private',
] as const;

export type Property = (typeof PROPERTIES)[number];

/** A way to log in. */
export interface Mechanism {
  /** In capitals: `SCRAM-SHA-256`. */
  readonly name: string;
  readonly properties: readonly Property[];
}

/** The mechanisms that we know for ourselves. */
export const PLAIN: Mechanism = { name: 'PLAIN', properties: ['plaintext'] };
export const LOGIN: Mechanism = { name: 'LOGIN', properties: ['plaintext'] };
export const CRAM_MD5: Mechanism = { name: 'CRAM-MD5', properties: ['dictionary', 'active'] };
export const SCRAM_SHA_256: Mechanism = { name: 'SCRAM-SHA-256', properties: ['mutual-auth'] };

export function isProperty(word: string): word is Property {
  return PROPERTIES.some((known) => known === word);
}

/** `smtpd_sasl_security_options`, read. */
export interface SecurityRules {
  readonly forbidden: readonly Property[];
  readonly required: readonly Property[];
}

const FORBIDS: Readonly<Record<string, Property>> = {
  noplaintext: 'plaintext',
  noactive: 'active',
  nodictionary: 'dictionary',
  noanonymous: 'anonymous',
};
const REQUIRES: Readonly<Record<string, Property>> = {
  forward_secrecy: 'forward-secrecy',
  mutual_auth: 'mutual-auth',
};

/**
 * @param parameter whose words they are
 * @throws {FatalError} when one of them is unknown
 */
export function parseSecurityRules(words: readonly string[], parameter: string): SecurityRules {
  const known = words.map((word) => word.toLowerCase());
  const strange = known.find((word) => !Object.hasOwn({ ...FORBIDS, ...REQUIRES }, word));
  if (strange !== undefined) {
    const all = [...Object.keys(FORBIDS), ...Object.keys(REQUIRES)].join(', ');
    throw new FatalError(`${parameter}: unknown option "${strange}": specify some of ${all}`);
  }
  const among = (table: Readonly<Record<string, Property>>) =>
    known.flatMap((word) => table[word] ?? []);
  return { forbidden: ['private', ...among(FORBIDS)], required: among(REQUIRES) };
}

export function isAllowed({ properties }: Mechanism, rules: SecurityRules): boolean {
  return (
    !rules.forbidden.some((property) => properties.includes(property)) &&
    rules.required.every((property) => properties.includes(property))
  );
}
