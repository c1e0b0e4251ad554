/** What a peer's certificate says of it, and how it is known. */
import { createHash, getHashes, type X509Certificate } from 'node:crypto';
import { printable } from '../log/printable.ts';

/** A certificate that the peer has shown, and proven to own. */
export interface PeerCertificate {
  /** Somebody whom we trust vouches for it. */
  readonly isTrusted: boolean;
  /** Why not, in OpenSSL's code; '' when it is. */
  readonly failure: string;
  /** The common name of the subject; '' when there is none that can be shown. */
  readonly subject: string;
  /** The issuer's common name, else its organisation. */
  readonly issuer: string;
  /** `/CN=Lab CA/O=Lab`: whom we don't know. */
  readonly issuerName: string;
  /** `AA:BB:...` of the certificate, and of the public key in it. */
  readonly fingerprint: string;
  readonly keyFingerprint: string;
}

/** X.520 names are no longer than this. */
const NAME_MAX = 256;

/** Whether there is such a digest for fingerprints. */
export function isDigest(name: string): boolean {
  return getHashes().some((known) => known.toLowerCase() === name.toLowerCase());
}

/** @param failure what speaks against it; '' when nothing does */
export function describePeer(
  certificate: X509Certificate,
  failure: string,
  digest: string,
): PeerCertificate {
  const { subject, issuer, publicKey, raw } = certificate;
  return {
    isTrusted: failure === '',
    failure,
    subject: fieldOf(subject, 'CN'),
    issuer: fieldOf(issuer, 'CN') || fieldOf(issuer, 'O'),
    issuerName: printable(`/${issuer.split('\n').join('/')}`),
    fingerprint: fingerprintOf(raw, digest),
    keyFingerprint: fingerprintOf(publicKey.export({ type: 'spki', format: 'der' }), digest),
  };
}

/** `AA:BB:...` */
export function fingerprintOf(bytes: Buffer, digest: string): string {
  const text = createHash(digest.toLowerCase()).update(bytes).digest('hex').toUpperCase();
  return text.replace(/..(?=.)/g, '$&:');
}

/** The first one counts. Node shows one field on each line, escaped. */
function fieldOf(name: string, field: string): string {
  const start = `${field}=`;
  const line = name.split('\n').find((text) => text.startsWith(start));
  if (line === undefined) return '';
  const value = line.slice(start.length);
  // A NUL or a control character in it is meant to deceive somebody.
  if (value.length > NAME_MAX || /\\[0-9A-F]{2}|[\x00-\x1f\x7f]/.test(value)) return '';
  return printable(value.replace(/\\(.)/g, '$1'));
}
