/**
 * Why a host did not take a message: the reason text, status and DSN fields. Pure; the texts are
 * Postfix's, which administrators and their programs know.
 */
import type { Status } from '../../lib/dsn/status.ts';
import { quoteReply, type Reply } from '../../lib/smtp/reply.ts';

export interface Trouble {
  readonly status: Status<4> | Status<5>;
  readonly reason: string;
  /** The whole site is in trouble, not one message or recipient: qmgr slows down. */
  readonly site: boolean;
  /** What the far end said, and who it is. */
  readonly diagnostic?: { readonly type: string; readonly text: string };
  readonly remoteMta?: { readonly type: string; readonly name: string };
  /** Mail would come back to us. */
  readonly loop?: boolean;
}

/** The far end, as logs show it. */
export interface Peer {
  /** The host's name; for a socket in the file system our own. */
  readonly name: string;
  /** `mx.example.com[192.0.2.1]` */
  readonly label: string;
  /** `mx.example.com[192.0.2.1]:25` */
  readonly relay: string;
}

/** Trouble that we found ourselves. */
export function ownTrouble(
  status: Status<4> | Status<5>,
  reason: string,
  site: boolean = true,
): Trouble {
  return { status, reason, site };
}

/** Which command a reply is about. */
export type CommandName =
  | 'MAIL FROM command'
  | 'RCPT TO command'
  | 'DATA command'
  | 'end of DATA command';

/** `host mx[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO command)` */
export function saidTrouble(peer: Peer, reply: Reply, command: CommandName): Trouble {
  const text = oneLine(reply);
  const said = `host ${peer.label} said: ${text} (in reply to ${command})`;
  // Yes where no or "go on" was called for.
  const odd = reply.code >= 200 && reply.code < 300;
  return told(peer, reply, odd ? `Protocol error: ${said}` : said, false);
}

/** `host mx[192.0.2.1] refused to talk to me: 554 go away` */
export function refusedTrouble(peer: Peer, reply: Reply, tryAgain: boolean): Trouble {
  const trouble = told(
    peer,
    reply,
    `host ${peer.label} refused to talk to me: ${oneLine(reply)}`,
    true,
  );
  const status = tryAgain ? (`4${trouble.status.slice(1)}` as Status<4>) : trouble.status;
  return { ...trouble, status };
}

function told(peer: Peer, reply: Reply, reason: string, site: boolean): Trouble {
  return {
    status: replyStatus(reply),
    reason,
    site,
    diagnostic: { type: 'smtp', text: oneLine(reply) },
    remoteMta: { type: 'dns', name: peer.name },
  };
}

/** A reply's lines in a row. */
export function oneLine(reply: Reply): string {
  return quoteReply(reply).replaceAll('\n', ' ');
}

/** The status of a refusal. What is neither 4xx nor 5xx is a server that breaks the protocol. */
function replyStatus({ code, status }: Reply): Status<4> | Status<5> {
  const digit = Math.floor(code / 100);
  if (digit !== 4 && digit !== 5) return '5.5.0';
  return (status === '' ? `${digit}.0.0` : status) as Status<4> | Status<5>;
}

/** What was going on when the conversation broke off. */
export type Stage =
  | 'receiving the initial server greeting'
  | 'performing the EHLO handshake'
  | 'performing the HELO handshake'
  | 'performing the LHLO handshake'
  | 'sending XFORWARD name/address'
  | 'sending XFORWARD protocol/helo_name'
  | 'sending MAIL FROM'
  | 'sending RCPT TO'
  | 'sending DATA command'
  | 'sending message body'
  | 'sending end of data -- message may be sent more than once';

/** How a conversation breaks off: `data` is trouble with tables of ours. */
export type Break = 'lost' | 'timeout' | 'data';

/** The conversation broke off. */
export function brokenTrouble(peer: Peer, how: Break, stage: Stage): Trouble {
  if (how === 'data') return localDataTrouble(peer);
  const what =
    how === 'lost'
      ? `lost connection with ${peer.label}`
      : `conversation with ${peer.label} timed out`;
  return ownTrouble('4.4.2', `${what} while ${stage}`);
}

/** What is to be done with a recipient that a host did not take. */
export type Disposition = 'next-host' | 'defer' | 'bounce';

/**
 * The next host may do better where the trouble may pass; that is what backup hosts are for.
 * With soft_bounce nothing is final, so there too.
 */
export function dispositionOf(
  trouble: Trouble,
  lastHost: boolean,
  softBounce: boolean,
): Disposition {
  const soft = trouble.status.startsWith('4');
  if ((soft || softBounce) && !lastHost) return 'next-host';
  return soft ? 'defer' : 'bounce';
}

/** A table that has a say in the conversation can't be asked. */
export function localDataTrouble(peer: Peer): Trouble {
  return ownTrouble('4.3.0', `local data error while talking to ${peer.label}`);
}
