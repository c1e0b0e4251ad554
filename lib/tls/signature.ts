/** Keys as TLS 1.3 signs with them, in Postfix's words. */
import type { KeyObject } from 'node:crypto';

/** What a key signs with. */
export interface Signature {
  /** As OpenSSL lists it: `RSA-PSS`, `ECDSA`, `DSA`, `Ed25519`. */
  readonly algorithm: string;
  /** `RSA-PSS (2048 bits)`, `ECDSA (prime256v1)`. */
  readonly name: string;
  /** Where the key decides it; of RSA both sides do. */
  readonly digest: string | undefined;
}

/** RFC 8446 4.2.3: each curve has its own. */
const CURVE_DIGESTS: Readonly<Record<string, string>> = {
  prime256v1: 'SHA256',
  secp384r1: 'SHA384',
  secp521r1: 'SHA512',
};

export function signatureOf(key: KeyObject): Signature {
  const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails: details } = key;
  if (type === 'ec') {
    const curve = details?.namedCurve ?? '';
    return { algorithm: 'ECDSA', name: `ECDSA (${curve})`, digest: CURVE_DIGESTS[curve] };
  }
  if (type.startsWith('rsa')) {
    const name = `RSA-PSS (${details?.modulusLength} bits)`;
    return { algorithm: 'RSA-PSS', name, digest: undefined };
  }
  if (type === 'dsa') {
    return { algorithm: 'DSA', name: `DSA (${details?.modulusLength} bits)`, digest: undefined };
  }
  const name = `${type.slice(0, 1).toUpperCase()}${type.slice(1)}`;
  return { algorithm: name, name, digest: undefined };
}

/** Which of a server's keys signs, and with which digest: the client's preference decides. */
export function chosenSignature(
  keys: readonly Signature[],
  shared: readonly string[],
): { readonly name: string; readonly digest: string | undefined } | undefined {
  for (const each of shared) {
    const [algorithm, digest] = each.split('+');
    const key = keys.find(
      (own) => own.algorithm === algorithm && (own.digest === undefined || own.digest === digest),
    );
    if (key !== undefined)
      return { name: key.name, digest: digest === 'UNDEF' ? undefined : digest };
  }
  return undefined;
}
