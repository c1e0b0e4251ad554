/** What a handshake has come to: for logs, headers, restrictions and policy servers. */
import type { KeyObject } from 'node:crypto';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { cipherBits } from './ciphers.ts';
import type { ClientHello } from './client-hello.ts';
import { chosenGroup, describeGroup } from './key-exchange.ts';
import { describePeer, type PeerCertificate } from './peer-certificate.ts';

export interface TlsSession {
  /** `TLSv1.3` */
  readonly protocol: string;
  /** OpenSSL's name. */
  readonly cipher: string;
  readonly cipherBits: readonly [used: number, algorithm: number];
  /** ` key-exchange X25519 server-signature ...`; '' where the cipher's name says it all. */
  readonly details: string;
  readonly isResumed: boolean;
  readonly peer: PeerCertificate | undefined;
}

export interface SessionWishes {
  readonly hello: ClientHello | undefined;
  /** The groups that we offer. */
  readonly groups: readonly string[];
  /** For fingerprints. */
  readonly digest: string;
  /** So many certificates may stand between the peer's own and one that we trust. */
  readonly verifyDepth: number;
  /** Whether we asked for a certificate at all. */
  readonly asksForCertificate: boolean;
}

export function describeSession(socket: TLSSocket, wishes: SessionWishes): TlsSession {
  const { name } = socket.getCipher();
  const protocol = socket.getProtocol() ?? 'unknown';
  return {
    protocol,
    cipher: name,
    cipherBits: cipherBits(name),
    details: protocol === 'TLSv1.3' ? describeKeys(socket, wishes) : '',
    isResumed: socket.isSessionReused(),
    peer: wishes.asksForCertificate ? peerOf(socket, wishes) : undefined,
  };
}

/** `TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)` */
export function summaryOf({ protocol, cipher, cipherBits: [used, all] }: TlsSession): string {
  return `${protocol} with cipher ${cipher} (${used}/${all} bits)`;
}

function peerOf(socket: TLSSocket, { digest, verifyDepth }: SessionWishes) {
  const certificate = socket.getPeerX509Certificate();
  // Of a session that is resumed OpenSSL says that all is well even where there was no certificate.
  if (certificate === undefined) return undefined;
  const failure = socket.authorized ? depthFailure(socket, verifyDepth) : codeOf(socket);
  return describePeer(certificate, failure, digest);
}

function codeOf({ authorizationError: error }: TLSSocket): string {
  const code: unknown = (error as { code?: unknown } | undefined)?.code ?? error;
  return typeof code === 'string' ? code : 'UNSPECIFIED';
}

function depthFailure(socket: TLSSocket, limit: number): string {
  const isTop = (each: DetailedPeerCertificate) =>
    each.issuerCertificate === undefined ||
    each.issuerCertificate.fingerprint256 === each.fingerprint256;
  let certificate = socket.getPeerCertificate(true);
  for (let depth = -1; depth <= limit; depth += 1) {
    if (isTop(certificate)) return '';
    certificate = certificate.issuerCertificate;
  }
  return 'CERT_CHAIN_TOO_LONG';
}

/**
 * How keys were exchanged, and who signed with what. Node tells a server neither: the first follows
 * from what the client offered; of the second, each key has one algorithm in TLS 1.3, and a digest
 * that follows from its curve, or, for RSA, from the client's preference.
 */
function describeKeys(socket: TLSSocket, { hello, groups }: SessionWishes): string {
  const group = hello && chosenGroup(hello, groups);
  const shared = socket.getSharedSigalgs();
  const own = socket.getX509Certificate()?.publicKey;
  const peer = socket.getPeerX509Certificate()?.publicKey;
  const digest = socket.isSessionReused()
    ? () => undefined
    : (key: KeyObject) => digestOf(key, shared);
  return [
    group === undefined ? '' : ` key-exchange ${describeGroup(group)}`,
    own === undefined ? '' : describeKey('server', own, digest),
    peer === undefined ? '' : describeKey('client', peer, digest),
  ].join('');
}

function describeKey(
  whose: 'server' | 'client',
  key: KeyObject,
  digestFor: (key: KeyObject) => string | undefined,
): string {
  const digest = digestFor(key);
  return ` ${whose}-signature ${nameOf(key)}${digest === undefined ? '' : ` ${whose}-digest ${digest}`}`;
}

function nameOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string {
  if (type === 'ec') return `ECDSA (${details?.namedCurve})`;
  if (type === 'rsa' || type === 'rsa-pss') return `RSA-PSS (${details?.modulusLength} bits)`;
  return type === undefined ? 'unknown' : `${type.slice(0, 1).toUpperCase()}${type.slice(1)}`;
}

const CURVE_DIGESTS: Readonly<Record<string, string>> = {
  prime256v1: 'SHA256',
  secp384r1: 'SHA384',
  secp521r1: 'SHA512',
};

function digestOf(key: KeyObject, shared: readonly string[]): string | undefined {
  if (key.asymmetricKeyType === 'ec') {
    return CURVE_DIGESTS[key.asymmetricKeyDetails?.namedCurve ?? ''];
  }
  if (!key.asymmetricKeyType?.startsWith('rsa')) return undefined;
  return shared.find((name) => name.startsWith('RSA-PSS+'))?.slice('RSA-PSS+'.length);
}
