import type { CleanupMessage } from '../../lib/clients/cleanup.ts';
import type { Resolution } from '../../lib/clients/rewrite.ts';
import { type NameStatus, UNKNOWN } from './client-name.ts';
import type { NewlineRule } from './content-reader.ts';
import type { Offer } from './keywords.ts';
import type { Login } from './login.ts';

/** Who a client is, and what it may therefore do. */
export interface Client {
  /** Where the connection comes from, whatever XCLIENT says. */
  readonly peerAddress: string;
  readonly address: string;
  /** A number, or `unknown`. */
  readonly port: string;
  readonly serverAddress: string;
  readonly serverPort: string;
  readonly name: string;
  readonly reverseName: string;
  /** Whether there is a verified name, and any name at all. */
  readonly nameStatus: NameStatus;
  readonly reverseStatus: NameStatus;
  /** `name[address]`, for replies and the log. */
  readonly label: string;
  /** The pattern of `mynetworks` that it matches; `failed` when a table does not answer. */
  readonly network: string | undefined | { readonly failed: string };
  /** Addresses without a domain, and headers, are completed with ours. */
  readonly isLocalRewrite: boolean;
  /** What EHLO offers it; `undefined` when a table does not answer. */
  readonly offer: Offer | undefined;
  /** How its bare line feeds are taken. */
  readonly newlines: NewlineRule;
  /** It may say that it is somebody else. */
  readonly mayXclient: boolean;
  /** It may name another client for the log; as long as the session lasts. */
  readonly mayXforward: boolean | undefined;
  readonly login: Login | undefined;
}

/** What XFORWARD told, for the next message. What it did not tell of the client is `unknown`. */
export interface Forwarded {
  readonly client?: {
    readonly name: string;
    readonly address: string;
    readonly port: string;
    readonly protocol: string;
    readonly helo: string;
  };
  /** What the message was called before. */
  readonly ident?: string;
  /** `local` or `remote`. */
  readonly rewriteContext?: string;
}

/** A client that XFORWARD told of: without an address there is just a name. */
export function originLabel(client: NonNullable<Forwarded['client']>, hasPort: boolean): string {
  return client.address === UNKNOWN ? client.name : labelOf(client, hasPort);
}

/** A client as replies and the log name it. */
export function labelOf(
  { name, address, port }: { name: string; address: string; port: string },
  hasPort: boolean,
): string {
  return `${name}[${address}]${hasPort ? `:${port}` : ''}`;
}

/** A sender or recipient: as it was read, and as the client wrote it. */
export interface GivenAddress {
  /** Internal (unquoted) form. */
  readonly address: string;
  /** As typed, without the angle brackets. */
  readonly external: string;
  /** Where mail for it would go. */
  readonly route: Resolution;
}

/** What access tables do to a message. */
export interface MessageOrders {
  /** `transport:destination`. */
  filter: string | undefined;
  /** All recipients are replaced by this one. */
  redirect: string | undefined;
  readonly bcc: string[];
  /** Headers of theirs, before ours. */
  readonly prepend: string[];
  isHeld: boolean;
  isDiscarded: boolean;
}

/**
 * One message on its way in: made by MAIL, dropped as a whole by RSET, EHLO, the end of the
 * message, or the end of the session. Nothing of it is ever reset field by field.
 */
export interface Transaction {
  /** MAIL, as the client said it. */
  readonly command: string;
  readonly sender: GivenAddress;
  /** Milliseconds since the epoch. */
  readonly arrival: number;
  /** No other message ever has the same: process, time and number. */
  readonly instance: string;
  /** Bytes, as MAIL says; 0 when it does not. */
  readonly declaredBytes: number;
  /** `7bit`, `8bit`, or '' when the client did not say. */
  readonly encoding: string;
  readonly smtputf8: boolean;
  readonly envelopeId: string;
  readonly retFlags: number;
  /** RFC 4954's AUTH= parameter. */
  readonly saslSender: string;
  /** XVERP's delimiters; '' for the default ones. */
  readonly verp: string | undefined;
  /** Those that were accepted. */
  readonly recipients: string[];
  /** The first of them. */
  firstRecipient: GivenAddress | undefined;
  /** RCPT commands beyond `smtpd_recipient_limit`. */
  overshoot: number;
  /** The queue file: opened for the first recipient that is accepted. */
  message: CleanupMessage | undefined;
  /** A reason to refuse later what is permitted now. */
  deferIfPermit: string | undefined;
  readonly orders: MessageOrders;
}
