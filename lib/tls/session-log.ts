/** What the log says of handshakes, in Postfix's words. */
import type { Log } from '../log/log.ts';
import { libraryErrors, verifyFailure } from './library-error.ts';
import { type ServerTls, TlsRefusal } from './server-tls.ts';
import { summaryOf, type TlsSession } from './session-facts.ts';

const DEBUG_LEVEL = 2;

/** @param why `lost connection`, `Connection timed out`, or an error */
export function logHandshakeFailure(log: Log, label: string, why: unknown): void {
  if (why instanceof TlsRefusal) {
    log.warn(why.message);
    return;
  }
  const errors = libraryErrors(why);
  const cause = typeof why === 'string' ? why : errors.length > 0 ? '-1' : describe(why);
  log.info(`SSL_accept error from ${label}: ${cause}`);
  for (const text of errors) log.warn(`TLS library problem: ${text}`);
}

function describe(why: unknown): string {
  const { code = '', message = '' } = why as { code?: string; message?: string };
  return code === 'ECONNRESET' ? 'lost connection' : message;
}

/** A handshake that has come to something. */
export interface LoggedSession {
  /** The client, as the log names it. */
  readonly label: string;
  readonly tls: Pick<ServerTls, 'logLevel' | 'demands'>;
  readonly found: TlsSession;
  /** The name that it asked for, if that decided. */
  readonly serverName: string | undefined;
}

export function logSession(log: Log, { label, tls, found, serverName }: LoggedSession): void {
  const { peer } = found;
  if (tls.logLevel === 0) return;
  if (peer?.isTrusted === false && tls.demands.requiresCertificate) {
    const why = verifyFailure(peer.failure, 'client', peer.issuerName);
    log.info(`certificate verification failed for ${label}: ${why}`);
  }
  if (tls.logLevel >= DEBUG_LEVEL) {
    if (peer !== undefined) {
      log.info(
        `${label}: subject_CN=${peer.subject}, issuer=${peer.issuer}, ` +
          `fingerprint=${peer.fingerprint}, pkey_fingerprint=${peer.keyFingerprint}`,
      );
    }
    if (found.isResumed) log.info(`${label}: Reusing old session`);
  }
  log.info({
    kind: 'tls',
    trust: peer === undefined ? 'Anonymous' : peer.isTrusted ? 'Trusted' : 'Untrusted',
    direction: 'from',
    peer: serverName === undefined ? label : `${label} to ${serverName}`,
    summary: summaryOf(found) + found.details.join(''),
  });
}
