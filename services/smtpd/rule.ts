/** What restrictions look at, whom they may ask, and what a list of them is made of. */
import type { Resolution } from '../../lib/clients/rewrite.ts';
import type { VerifyClient } from '../../lib/clients/verify.ts';
import type { Families, Resolver } from '../../lib/dns/resolver.ts';
import type { ParametersOf } from '../../lib/server/service.ts';
import type { TableList } from '../../lib/table/table-list.ts';
import type { TlsSession } from '../../lib/tls/session-facts.ts';
import type { OldDefaults } from './compatibility.ts';
import type { PARAMETERS } from './parameters.ts';
import type { Client } from './transaction.ts';
import type { Note, Subject, SubjectKind, Verdict } from './verdict.ts';

/** Where a list is looked at decides what it speaks of. */
export type Stage = Exclude<SubjectKind, 'reverse-client' | 'login' | 'certificate'>;

/** What restrictions may look at. */
export interface Facts {
  readonly stage: Stage;
  /** What the list speaks of. */
  readonly subject: Subject;
  readonly client: Client;
  /** TLS is on. */
  readonly isEncrypted: boolean;
  /** Nobody can log in now: who checks passwords does not answer. */
  readonly isLoginDown: boolean;
  readonly tls: TlsSession | undefined;
  readonly helo: string | undefined;
  readonly sender: string | undefined;
  readonly senderRoute: Resolution | undefined;
  readonly recipient: string | undefined;
  readonly recipientRoute: Resolution | undefined;
  readonly recipientCount: number;
  readonly etrnDomain: string | undefined;
  /** The client sent more before it had our reply, where it may not. */
  readonly pipelined: boolean;
  /** `RCPT`: the command at hand. */
  readonly command: string;
  readonly protocol: string;
  readonly message: MessageFacts | undefined;
}

/** The message at hand; there is one as soon as MAIL has been said. */
export interface MessageFacts {
  /** An access table has put it on hold. */
  readonly isHeld: boolean;
  /** There is a queue file. */
  readonly queueId: string | undefined;
  /** No other message ever has the same. */
  readonly instance: string;
  /** AUTH= of MAIL. */
  readonly saslSender: string;
  /** What has come, else what MAIL said. */
  readonly sizeBytes: number;
  /** The recipient, if there is just one. */
  readonly onlyRecipient: string | undefined;
}

export type Settings = ParametersOf<(typeof PARAMETERS)[number]>;

/** What restrictions may ask. */
export interface Knowledge {
  readonly settings: Settings;
  /** What is to be said, too, because compatibility_level is old. */
  readonly oldDefaults: OldDefaults;
  isOwnAddress(address: string): boolean;
  readonly resolver: Resolver;
  /** The address families that there are: `inet_protocols`. */
  readonly families: Families;
  /** Whether a name is in relay_domains: of long ago. */
  isRelayDomain(name: string): Promise<boolean>;
  /** What the log has said, and need not say again. */
  readonly warned: Set<string>;
  /** rbl_reply_maps. */
  readonly listReplies: TableList;
  /** smtpd_sender_login_maps. */
  readonly senderLogins: TableList;
  readonly verify: Pick<VerifyClient, 'query'>;
  /** relay_clientcerts. */
  readonly relayCertificates: TableList;
  /** permit_mx_backup_networks; `undefined`: any. */
  readonly isBackupNetwork: ((address: string) => Promise<boolean>) | undefined;
  /** A refusal when the address is in one of our domains, and nobody there has it. */
  checkListed(
    party: 'sender' | 'recipient',
    address: string,
    route: Resolution,
  ): Verdict | Promise<Verdict>;
  /** Whether `smtpd_log_access_permit_actions` has this one; `undefined`: it has none. */
  readonly logsPermit: ((action: string) => Promise<boolean>) | undefined;
}

/** One restriction at work. */
export type Restriction = (facts: Facts, knowledge: Knowledge) => Verdict | Promise<Verdict>;

/** One entry of a list. */
export interface Rule {
  readonly name: string;
  /** `warn_if_reject` stands before it: it is only logged. */
  readonly warnOnly: boolean;
  readonly restriction: Restriction;
}

/** One parameter's restrictions. */
export interface RestrictionList {
  /** Its name, and where it is set. */
  readonly parameter: string;
  readonly stage: Stage;
  readonly rules: readonly Rule[];
  /** What the log says after a refusal. */
  readonly afterRefusal?: ((facts: Facts) => Note) | undefined;
}
