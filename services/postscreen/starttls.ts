/** STARTTLS: tlsproxy takes the connection, and gives us one with what the client says there. */
import { ReadyTlsproxy, TlsproxyError } from '../../lib/clients/tlsproxy.ts';
import type { Answer } from './commands.ts';
import type { Engine } from './engine.ts';

/** For tlsproxy to be ready. */
const READY_MS = 10_000;
/** Postfix's postscreen says so, whatever smtpd is called in master.cf. */
const SERVER_ID = 'smtpd';
const UNAVAILABLE = '454 4.7.0 TLS not available due to local problem';

/** Begins anew with a client that nobody overhears; what it has sent along is forgotten. */
export async function starttls(engine: Engine): Promise<Answer> {
  const { session, discarded } = engine;
  const { screen, socket } = session;
  if (engine.isSecured) return '554 5.5.1 Error: TLS already active';
  if (!screen.tls.isOffered || discarded.has('starttls')) {
    return '502 5.5.1 Error: command not implemented';
  }
  // From here on what comes is for whoever shakes hands.
  socket.hold();
  try {
    const tlsproxy = await ReadyTlsproxy.ask({
      socketPath: screen.tlsproxy,
      endpoint: session.label,
      timeoutSeconds: screen.limits.commandTime,
      serverId: SERVER_ID,
      limitMs: READY_MS,
    });
    const plain = await tlsproxy.hand(socket.descriptor);
    const isSent = session.send('220 2.0.0 Ready to start TLS') && socket.isFlushed;
    socket.replace(plain);
    if (!isSent) return { isSent };
  } catch (error) {
    if (!(error instanceof TlsproxyError)) throw error;
    for (const line of error.lines) screen.log.warn(line);
    return UNAVAILABLE;
  }
  engine.isSecured = true;
  engine.helo = undefined;
  engine.sender = undefined;
  return { isSent: true };
}
