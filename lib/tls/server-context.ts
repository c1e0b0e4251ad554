/**
 * The server's side of TLS: what it may negotiate, and with which certificates. The only importer of
 * node:tls beside accept.ts; loaded with the first handshake, and a context costs some milliseconds.
 */
import { createSecureContext, type SecureContext } from 'node:tls';
import { groupName } from './key-exchange.ts';
import type { KeyPair } from './key-pair.ts';

export type { SecureContext, TLSSocket } from 'node:tls';

/** What a server negotiates, whatever its certificates. */
export interface ServerPolicy {
  /** opensslOptions */
  readonly options: number;
  /** cipherList */
  readonly ciphers: string;
  /** Names of groups for the exchange of keys; known ones. */
  readonly groups: readonly string[];
  /** PEM; `auto`: OpenSSL's own, as strong as the certificate. */
  readonly dhParameters: string;
  /** PEM of those whom we trust to vouch for clients. */
  readonly authorities: readonly string[];
  /** Sessions of other services can't be resumed here. */
  readonly sessionContext: string;
  readonly sessionSeconds: number;
}

/** Of a ticket key: its name, and two keys of AES-128 and SHA-256. */
export const TICKET_KEY_BYTES = 48;

/** OpenSSL's own idea of what is too weak; Postfix decides that by grades and protocols. */
const NO_SECURITY_LEVEL = '@SECLEVEL=0';

/**
 * Makes a context.
 *
 * @param ticketKey TICKET_KEY_BYTES; `undefined`: one that nobody else has
 * @throws {Error} of OpenSSL's
 */
export function createServerContext(
  policy: ServerPolicy,
  pairs: readonly KeyPair[],
  ticketKey: Buffer | undefined,
): SecureContext {
  return createSecureContext({
    key: pairs.map(({ key }) => key),
    cert: pairs.map(({ chain }) => chain),
    // Never Node's own list: it takes 47 ms, and Postfix trusts nobody by itself.
    ca: [...policy.authorities],
    ciphers: `${policy.ciphers}:${NO_SECURITY_LEVEL}`,
    minVersion: 'TLSv1',
    maxVersion: pairs.length > 0 && pairs.every(isDsa) ? 'TLSv1.2' : 'TLSv1.3',
    secureOptions: policy.options,
    ecdhCurve: policy.groups.length === 0 ? 'auto' : policy.groups.join(':'),
    dhparam: policy.dhParameters,
    sessionIdContext: policy.sessionContext,
    sessionTimeout: policy.sessionSeconds,
    ...(ticketKey === undefined ? {} : { ticketKeys: ticketKey }),
  });
}

/**
 * TLS 1.3 has no DSA (RFC 8446 4.2.3). OpenSSL knows that a server with no other key had better speak
 * TLS 1.2, but not where certificates may yet be changed by a callback, as in Node.
 */
function isDsa({ signature }: KeyPair): boolean {
  return signature.algorithm === 'DSA';
}

/** @param warn told of names that are none */
export function knownGroups(names: readonly string[], warn: (text: string) => void): string[] {
  return names.flatMap((text) => {
    const name = groupName(text);
    if (name === undefined) warn(`ignoring unknown ECDHE curve "${text}"`);
    return name ?? [];
  });
}
