/**
 * STARTTLS, and TLS from the beginning (smtps): from plain text to a session that nobody else can
 * read. What was said before is forgotten. RFC 3207; smtp-replies.md 3.8.
 */
import type { ServerTls, TlsChoice } from '../../lib/tls/server-tls.ts';
import { describeSession, type TlsSession } from '../../lib/tls/session-facts.ts';
import { logHandshakeFailure, logSession } from '../../lib/tls/session-log.ts';
import type { Answer } from './answer.ts';
import type { Secured } from './connection.ts';
import type { Session } from './session.ts';
import type { Word } from './words.ts';

/** What may be said before TLS where TLS is a must. */
const MAY_PRECEDE: ReadonlySet<string> = new Set([
  'EHLO',
  'HELO',
  'NOOP',
  'QUIT',
  'STARTTLS',
  'XCLIENT',
]);
const READY = '220 2.0.0 Ready to start TLS';
const UNAVAILABLE: Answer = { reply: '454 4.7.0 TLS not available due to local problem' };
const DEBUG_LEVEL = 2;

/** The answer to a command that has to wait for TLS. */
export function refusalBeforeTls(session: Session, command: string): Answer | undefined {
  const isDue = session.smtpd.tls?.demands.level === 'encrypt' && !session.isEncrypted;
  return isDue && !MAY_PRECEDE.has(command)
    ? { reply: '530 5.7.0 Must issue a STARTTLS command first' }
    : undefined;
}

/** The command. */
export async function starttls(session: Session, words: readonly Word[]): Promise<Answer> {
  const { smtpd, client, connection } = session;
  if (words.length > 1) return { reply: '501 5.5.4 Syntax: STARTTLS' };
  const filtered = session.milters?.lateRefusal();
  if (filtered !== undefined) return { reply: filtered };
  if (session.isEncrypted) return { reply: '554 5.5.1 Error: TLS already active' };
  const { tls } = smtpd;
  if (tls === undefined || client.offer?.starttls !== true) {
    return { reply: '502 5.5.1 Error: command not implemented' };
  }
  if (!tls.isUsable) return UNAVAILABLE;
  if (await session.limits?.hasTooManyHandshakes()) {
    const { serviceName } = smtpd;
    smtpd.log.warn(`Refusing STARTTLS request from ${client.label} for service ${serviceName}`);
    return { reply: `454 4.7.0 Error: too many new TLS sessions from ${client.label}` };
  }
  connection.write(`${READY}\r\n`);
  session.transcript?.said([READY]);
  const failed: Answer = { reply: [], isError: true };
  const secured = await shakeHands(session, tls, false);
  return secured ? ((await welcome(session, secured)) ?? { reply: [] }) : failed;
}

/**
 * TLS before the greeting.
 *
 * @returns what to say to a client that is not wanted; `gone`: the connection has ended
 */
export async function startWrapped(session: Session): Promise<Answer | 'gone' | undefined> {
  const { smtpd, client } = session;
  const { tls, log, serviceName } = smtpd;
  if (tls === undefined) return undefined;
  if (await session.limits?.hasTooManyHandshakes()) {
    log.warn(`Refusing TLS service request from ${client.label} for service ${serviceName}`);
    return HANG_UP;
  }
  if (!tls.isUsable) {
    log.warn(
      `Wrapper-mode request dropped from ${client.label} for service ${serviceName}. TLS context ` +
        'initialization failed. For details see earlier warnings in your logs.',
    );
    return HANG_UP;
  }
  const secured = await shakeHands(session, tls, true);
  return secured === undefined ? 'gone' : welcome(session, secured);
}

const HANG_UP: Answer = { reply: '', closes: true };

/** @returns `undefined` when it failed: that is logged, and the connection is closed */
async function shakeHands(
  session: Session,
  tls: ServerTls,
  isWrapped: boolean,
): Promise<TlsSession | undefined> {
  const { smtpd, client, connection } = session;
  const { log } = smtpd;
  if (tls.logLevel >= DEBUG_LEVEL) log.info(`setting up TLS connection from ${client.label}`);
  let chosen: TlsChoice | undefined;
  const secured: Secured | undefined = await connection.startTls({
    limitMs: smtpd.parameters.smtpd_starttls_timeout * 1000,
    isWrapped,
    asksForCertificate: tls.demands.asksForCertificate,
    async choose(hello) {
      chosen = await tls.choose(hello, client.label);
      return chosen.context;
    },
    onFailure: (why) => logHandshakeFailure(log, client.label, why),
  });
  if (secured === undefined) return undefined;
  const { keys = [], serverName } = chosen ?? {};
  const found = describeSession(secured.socket, tls.wishes, { hello: secured.hello, keys });
  session.tls = found;
  session.isEncrypted = true;
  logSession(log, { label: client.label, tls, found, serverName });
  return found;
}

/** Begins anew with a client that nobody overhears. @returns what to say to one that is not wanted */
async function welcome(session: Session, found: TlsSession): Promise<Answer | undefined> {
  const { smtpd, client } = session;
  session.reset();
  session.milters?.restart();
  session.helo = undefined;
  // Whoever has logged in for all to hear does so again.
  if (client.login !== undefined) session.client = smtpd.withLogin(client, undefined);
  const { myhostname } = smtpd.parameters;
  if (!found.isResumed && (await session.limits?.hasNewTlsSession())) {
    return {
      reply: `421 4.7.0 ${myhostname} Error: too many new TLS sessions from ${client.label}`,
      closes: true,
    };
  }
  if (smtpd.tls?.demands.requiresCertificate !== true || found.peer?.isTrusted === true) {
    return undefined;
  }
  const why =
    found.peer === undefined ? 'No client certificate presented' : 'Client certificate not trusted';
  smtpd.log.info(`NOQUEUE: abort: TLS from ${client.label}: ${why}`);
  return { reply: `421 4.7.1 ${myhostname} Error: ${why}`, closes: true, isError: false };
}
