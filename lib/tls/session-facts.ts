/** What a handshake has come to: for logs, headers, restrictions and policy servers. */
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { cipherBits } from './ciphers.ts';
import type { ClientHello } from './client-hello.ts';
import { chosenGroup, describeGroup } from './key-exchange.ts';
import { describePeer, type PeerCertificate } from './peer-certificate.ts';
import { chosenSignature, type Signature, signatureOf } from './signature.ts';

export interface TlsSession {
  /** `TLSv1.3` */
  readonly protocol: string;
  /** OpenSSL's name. */
  readonly cipher: string;
  readonly cipherBits: readonly [used: number, algorithm: number];
  /**
   * ` key-exchange X25519 server-signature ...`, and ` client-signature ...`; nothing where the
   * cipher's name says it all.
   */
  readonly details: readonly string[];
  readonly isResumed: boolean;
  readonly peer: PeerCertificate | undefined;
}

/** How a session came about. */
export interface SessionOrigin {
  readonly hello: ClientHello | undefined;
  /** What the certificates can sign with that the client was met with. */
  readonly keys: readonly Signature[];
}

/** What is wanted of every session. */
export interface SessionWishes {
  /** The groups that we offer. */
  readonly groups: readonly string[];
  /** Whether anybody wants to know how keys were exchanged. */
  readonly isDetailed: boolean;
  /** For fingerprints. */
  readonly digest: string;
  /** So many certificates may stand between the peer's own and one that we trust. */
  readonly verifyDepth: number;
  /** Whether we asked for a certificate at all. */
  readonly asksForCertificate: boolean;
}

export function describeSession(
  socket: TLSSocket,
  wishes: SessionWishes,
  origin: SessionOrigin,
): TlsSession {
  const { name } = socket.getCipher();
  const protocol = socket.getProtocol() ?? 'unknown';
  return {
    protocol,
    cipher: name,
    cipherBits: cipherBits(name),
    details:
      wishes.isDetailed && protocol === 'TLSv1.3' ? describeKeys(socket, wishes, origin) : [],
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
 * How keys were exchanged, and who signed with what. Node tells a server neither (its own certificate
 * it does tell, for as much work as half a handshake): the first follows from what the client offered,
 * the second from what it prefers.
 */
function describeKeys(
  socket: TLSSocket,
  { groups }: SessionWishes,
  { hello, keys }: SessionOrigin,
): string[] {
  const group = hello && chosenGroup(hello, groups);
  const isResumed = socket.isSessionReused();
  const shared = isResumed ? [] : socket.getSharedSigalgs();
  const peer = socket.getPeerX509Certificate()?.publicKey;
  // A session that is resumed needs no signature: what could have signed is named, and no digest.
  const own = isResumed ? keys.at(-1) : chosenSignature(keys, shared);
  const exchange = group === undefined ? '' : ` key-exchange ${describeGroup(group)}`;
  const ofServer =
    own === undefined ? '' : describeKey('server', own.name, isResumed ? undefined : own.digest);
  const ofClient = peer === undefined ? '' : describeClient(signatureOf(peer), shared);
  return [`${exchange}${ofServer}`, ofClient].filter((text) => text !== '');
}

/** Of RSA it is taken for granted that the client goes by our preference. */
function describeClient(key: Signature, shared: readonly string[]): string {
  const isResumed = shared.length === 0;
  return describeKey(
    'client',
    key.name,
    isResumed ? undefined : chosenSignature([key], shared)?.digest,
  );
}

function describeKey(whose: 'server' | 'client', name: string, digest: string | undefined): string {
  return ` ${whose}-signature ${name}${digest === undefined ? '' : ` ${whose}-digest ${digest}`}`;
}
