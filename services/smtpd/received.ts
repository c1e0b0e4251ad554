import { formatDate } from '../../lib/message/date.ts';
import { summaryOf, type TlsSession } from '../../lib/tls/session-facts.ts';
import { tagged } from './client-name.ts';

/** What the Received header of one message tells. RFC 5321 4.4. */
export interface Trace {
  readonly clientName: string;
  readonly clientAddress: string;
  readonly helo: string | undefined;
  /** Who has logged in, if that is for everybody to read: smtpd_sasl_authenticated_header. */
  readonly login?: string;
  readonly hostname: string;
  readonly mailName: string;
  readonly protocol: string;
  /** '': it has none yet. */
  readonly queueId: string;
  /** What TLS came to, if it is to be told. */
  readonly tls?: TlsSession | undefined;
  /** Whether clients are asked for certificates. */
  readonly asksForCertificate?: boolean | undefined;
  /** Named only when it is the only one: nobody learns who else got the message. */
  readonly onlyRecipient: string | undefined;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** The lines of our Received header, as Postfix folds them. */
export function formatReceived(trace: Trace): string[] {
  const date = formatDate(trace.time);
  const from = trace.helo ?? trace.clientName;
  const id = trace.queueId === '' ? '' : ` id ${trace.queueId}`;
  const by = `\tby ${trace.hostname} (${trace.mailName}) with ${trace.protocol}${id}`;
  const client = `Received: from ${from} (${trace.clientName} [${tagged(trace.clientAddress)}])`;
  const secured = trace.tls === undefined ? [] : describeTls(trace.tls, trace.asksForCertificate);
  const login = trace.login === undefined ? [] : [loginLine(trace.login)];
  const start = [client, ...secured, ...login];
  return trace.onlyRecipient === undefined
    ? [...start, `${by};`, `\t${date}`]
    : [...start, by, `\tfor <${trace.onlyRecipient}>; ${date}`];
}

/** A comment, in which a name must not end it. */
function loginLine(login: string): string {
  return `\t(Authenticated sender: ${login.replace(/[^\x20-\x7e]|[\\()]/g, '?')})`;
}

/** As Postfix folds it: `smtpd_tls_received_header`. */
function describeTls(tls: TlsSession, asksForCertificate = false): string[] {
  const { peer, details } = tls;
  const lines = [`(using ${summaryOf(tls)}`, ...details];
  const cipher = lines.map((line, at) => `\t${line}${at === lines.length - 1 ? ')' : ''}`);
  if (peer === undefined) {
    const why = asksForCertificate
      ? 'Client did not present a certificate'
      : 'No client certificate requested';
    return [...cipher, `\t(${why})`];
  }
  const verdict = peer.isTrusted ? 'verified OK' : 'not verified';
  const [subject, issuer] = [peer.subject, peer.issuer].map(plainComment);
  return [...cipher, `\t(Client CN "${subject}", Issuer "${issuer}" (${verdict}))`];
}

/** Nothing in a name may end the comment that it stands in. */
function plainComment(name: string): string {
  return name.replace(/[()\\]/g, '_');
}
