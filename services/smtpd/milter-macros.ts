/** What Sendmail's macros stand for in a session. MILTER_README. Pure, but for the route of nobody. */
import { quote } from '../../lib/address/address.ts';
import type { Resolution } from '../../lib/clients/rewrite.ts';
import type { TlsSession } from '../../lib/tls/session-facts.ts';
import { available, type NameStatus, tagged } from './client-name.ts';
import type { Client, GivenAddress } from './transaction.ts';

/** What the macros tell of. */
export interface MilterFacts {
  readonly client: Client;
  /** What TLS has come to, if it is on. */
  readonly tls: TlsSession | undefined;
  /** How often the client is connected now; 0 when it is not counted. */
  readonly connections: number;
  readonly queueId: string | undefined;
  readonly sender: GivenAddress | undefined;
  readonly saslSender: string | undefined;
  /** The recipient at hand, or else the first one. */
  readonly recipient: GivenAddress | undefined;
  /** Why that recipient was refused. */
  readonly refusal: string | undefined;
  readonly settings: {
    readonly myhostname: string;
    readonly milter_macro_daemon_name: string;
    readonly milter_macro_v: string;
  };
  /** Where mail for nobody in particular goes. */
  resolveNull(): Promise<Resolution>;
}

type Value = string | undefined | Promise<string | undefined>;

/** @returns undefined for a macro that has no value here, or that nobody knows */
export function milterMacro(name: string, facts: MilterFacts): Value {
  const known = Object.hasOwn(MACROS, name) ? MACROS[name] : undefined;
  return known?.(facts);
}

const MACROS: Readonly<Record<string, (facts: MilterFacts) => Value>> = {
  _: ({ client }) => {
    const { name, reverseName, address } = client;
    const forged = name.toLowerCase() === reverseName.toLowerCase() ? '' : ' (may be forged)';
    return `${reverseName} [${address}]${forged}`;
  },
  i: ({ queueId }) => queueId,
  j: ({ settings }) => settings.myhostname,
  v: ({ settings }) => settings.milter_macro_v,
  '{client_addr}': ({ client }) => tagged(client.address),
  '{client_name}': ({ client }) => client.name,
  '{client_port}': ({ client }) => available(client.port),
  '{client_ptr}': ({ client }) => client.reverseName,
  '{client_resolve}': ({ client }) => RESOLVED[client.nameStatus],
  '{client_connections}': ({ connections }) => String(connections),
  '{daemon_addr}': ({ client }) => client.serverAddress,
  '{daemon_name}': ({ settings }) => settings.milter_macro_daemon_name,
  '{daemon_port}': ({ client }) => client.serverPort,
  '{tls_version}': ({ tls }) => tls?.protocol,
  '{cipher}': ({ tls }) => tls?.cipher,
  '{cipher_bits}': ({ tls }) => tls && String(tls.cipherBits[0]),
  // Whom nobody vouches for has no name.
  '{cert_subject}': ({ tls }) => (tls?.peer?.isTrusted ? tls.peer.subject : undefined),
  '{cert_issuer}': ({ tls }) => (tls?.peer?.isTrusted ? tls.peer.issuer : undefined),
  '{auth_type}': ({ client }) => client.login?.method,
  '{auth_authen}': ({ client }) => client.login?.username,
  '{auth_author}': ({ saslSender }) => saslSender || undefined,
  '{mail_addr}': ({ sender }) => sender && (sender.address === '' ? '' : external(sender.route)),
  '{mail_host}': (facts) => routeOf(facts, ({ nexthop }) => nexthop),
  '{mail_mailer}': (facts) => routeOf(facts, ({ transport }) => transport),
  '{rcpt_addr}': ({ recipient, refusal }) =>
    refusal === undefined ? recipient && external(recipient.route) : splitRefusal(refusal).text,
  '{rcpt_host}': ({ recipient, refusal }) =>
    refusal === undefined ? recipient?.route.nexthop : splitRefusal(refusal).status,
  '{rcpt_mailer}': ({ recipient, refusal }) =>
    refusal === undefined ? recipient?.route.transport : 'error',
};

const RESOLVED: Readonly<Record<NameStatus, string>> = {
  found: 'OK',
  missing: 'FAIL',
  again: 'TEMP',
  forged: 'FORGED',
};

const external = ({ recipient }: Resolution): string => quote(recipient);

function routeOf({ sender, resolveNull }: MilterFacts, part: (route: Resolution) => string): Value {
  if (sender === undefined) return undefined;
  return sender.address === '' ? resolveNull().then(part) : part(sender.route);
}

/** `550 5.1.1 <bob@example.com>: User unknown`: a status, and why. */
function splitRefusal(reply: string): { status: string; text: string } {
  const [, status = '5.0.0', text = reply] =
    /^\d{3}[ -](?:([245]\.\d{1,3}\.\d{1,3}) )?(?:<[^>]*>: )?(.*)$/s.exec(reply) ?? [];
  return { status, text };
}
