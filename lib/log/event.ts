/**
 * Everything this mail system logs, as values: one event object per log line. The line of text, the
 * JSON line and the counters are views of it (line.ts, json-line.ts, counters.ts).
 *
 * Addresses are in internal (unquoted) form; `client` is `name[address]`, as smtpd writes it.
 * `rule` names what decided (a parameter, a table entry with its file and line); it is in the JSON
 * line only, because log analysers know the text by heart.
 */
export type LogEvent =
  | TextEvent
  | ConnectEvent
  | DisconnectEvent
  | SessionLostEvent
  | ClientEvent
  | RejectEvent
  | AuthFailureEvent
  | TlsEvent
  | ContentEvent
  | MessageIdEvent
  | PickupEvent
  | QueuedEvent
  | ExpiredEvent
  | RemovedEvent
  | DeliveryEvent
  | NotificationEvent
  | SuperEvent
  | ChildExitEvent;

/** A line that no program needs to take apart. */
export interface TextEvent {
  readonly kind: 'text';
  readonly queueId?: string;
  readonly text: string;
}

/** smtpd: `connect from {client}`. */
export interface ConnectEvent {
  readonly kind: 'connect';
  readonly client: string;
}

/** smtpd: `disconnect from {client} ehlo=1 mail=1/2 commands=2/3`. */
export interface DisconnectEvent {
  readonly kind: 'disconnect';
  readonly client: string;
  /** Commands in the order of the log line; those never used are left out of it. */
  readonly counts: readonly CommandCount[];
}

/** How often a client used one command, and how often that went well. */
export interface CommandCount {
  readonly command: string;
  readonly ok: number;
  readonly total: number;
}

/** smtpd: a session that ended before QUIT. */
export interface SessionLostEvent {
  readonly kind: 'session-lost';
  readonly why: 'lost connection' | 'timeout' | 'too many errors';
  /** The last command, in capitals. */
  readonly stage: string;
  readonly client: string;
  /** How much content had come, after DATA or BDAT. */
  readonly receivedBytes?: number;
}

/** smtpd: a client's first accepted recipient; the queue file exists from now on. */
export interface ClientEvent {
  readonly kind: 'client';
  /** Absent: `NOQUEUE`, when a content filter in front of the queue has the message. */
  readonly queueId?: string;
  readonly client: string;
  readonly saslMethod?: string;
  readonly saslUsername?: string;
  readonly saslSender?: string;
  readonly originalQueueId?: string;
  readonly originalClient?: string;
}

/** What smtpd did with a client, command or address that a rule matched. */
export type RejectAction =
  | 'reject'
  | 'reject_warning'
  | 'hold'
  | 'discard'
  | 'filter'
  | 'redirect'
  | 'bcc'
  | 'info'
  | 'warn'
  | 'permit'
  | 'hangup'
  | 'milter-reject'
  | 'milter-discard'
  | 'milter-hold';

/** smtpd: `{qid|NOQUEUE}: {action}: {stage} from {client}: {text}; from=<> to=<> proto= helo=<>`. */
export interface RejectEvent {
  readonly kind: 'reject';
  readonly queueId?: string;
  readonly action: RejectAction;
  /** `CONNECT`, `EHLO`, `MAIL`, `RCPT`, `DATA`, `END-OF-MESSAGE` ... */
  readonly stage: string;
  readonly client: string;
  /** The reply exactly as sent, or what the action does. */
  readonly text: string;
  readonly from?: string;
  readonly to?: string;
  readonly protocol: string;
  readonly helo?: string;
  readonly rule?: string;
}

/** smtpd: the line that watches for password guessers. Log it with `warn`. */
export interface AuthFailureEvent {
  readonly kind: 'auth-failure';
  readonly client: string;
  readonly mechanism: string;
  readonly reason: string;
  /** Absent: `(unavailable)`. */
  readonly username?: string;
}

/** smtpd, smtp: the summary of one TLS handshake. */
export interface TlsEvent {
  readonly kind: 'tls';
  readonly trust: 'Anonymous' | 'Untrusted' | 'Trusted' | 'Verified';
  readonly direction: 'from' | 'to';
  /** `name[address]`, outgoing with `:port`. */
  readonly peer: string;
  /** `TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) ...`. */
  readonly summary: string;
}

/** cleanup: a header or body line that a check matched, or a milter's verdict on the content. */
export interface ContentEvent {
  readonly kind: 'content';
  readonly queueId: string;
  /** `reject`, `warning`, `hold`, `milter-reject` ... */
  readonly action: string;
  /** `header`, `body`, or a milter's stage: `END-OF-MESSAGE`. */
  readonly part: string;
  /** The line that matched; absent for milters. */
  readonly line?: string;
  /** `name[address]`; `local` for mail submitted on this machine. */
  readonly client: string;
  readonly from?: string;
  readonly to?: string;
  readonly protocol?: string;
  readonly helo?: string;
  /** What the rule says: `5.7.1 message content rejected`. */
  readonly text?: string;
  readonly rule?: string;
}

/** cleanup: `{qid}: message-id=<...>`. */
export interface MessageIdEvent {
  readonly kind: 'message-id';
  readonly queueId: string;
  /** With its angle brackets; `''` is logged as `<>`. */
  readonly messageId: string;
  readonly resent?: boolean;
}

/** pickup: `{qid}: uid=0 from=<...>`. */
export interface PickupEvent {
  readonly kind: 'pickup';
  readonly queueId: string;
  readonly uid: number;
  readonly from: string;
  /** The queue id before `postsuper -r`. */
  readonly originalQueueId?: string;
}

/** qmgr: the message enters the active queue. */
export interface QueuedEvent {
  readonly kind: 'queued';
  readonly queueId: string;
  readonly from: string;
  readonly sizeBytes: number;
  readonly recipientCount: number;
}

/** qmgr: the message goes back to its sender, because of its age or by an administrator's order. */
export interface ExpiredEvent {
  readonly kind: 'expired';
  readonly queueId: string;
  readonly from: string;
  readonly forced: boolean;
}

/** qmgr: nothing is left to do for the message. */
export interface RemovedEvent {
  readonly kind: 'removed';
  readonly queueId: string;
}

/** What became of a recipient, in the word of the log. */
export type DeliveryStatus =
  | 'sent'
  | 'deferred'
  | 'bounced'
  | 'SOFTBOUNCE'
  | 'deliverable'
  | 'undeliverable'
  | 'undeliverable-but-not-cached'
  | 'expanded';

/** A delivery agent: what became of one recipient in one attempt. */
export interface DeliveryEvent {
  readonly kind: 'delivery';
  readonly queueId: string;
  readonly to: string;
  /** The recipient before aliasing; logged when it differs from `to`, ignoring case. */
  readonly origTo?: string;
  /** `local`, `none`, `mx.example.com[192.0.2.1]:25`. */
  readonly relay: string;
  /** 2 is the first reuse of a connection; less is not logged. */
  readonly connUse?: number;
  /** Seconds since the message arrived. */
  readonly delay: number;
  /** Seconds: before the active queue, in it, setting up the connection, delivering. */
  readonly delays: readonly [number, number, number, number];
  readonly dsn: string;
  readonly status: DeliveryStatus;
  readonly text: string;
  readonly rule?: string;
}

/** bounce: a notice was queued. */
export interface NotificationEvent {
  readonly kind: 'notification';
  readonly queueId: string;
  readonly to: 'sender' | 'postmaster';
  readonly notice: 'non-delivery' | 'delay' | 'delivery status';
  readonly newQueueId: string;
}

/** postsuper: what an administrator did to one message. */
export interface SuperEvent {
  readonly kind: 'super';
  readonly queueId: string;
  readonly action: 'removed' | 'requeued' | 'placed on hold' | 'released from hold' | 'expired';
}

/** master: a process ended badly. Log it with `warn`. */
export interface ChildExitEvent {
  readonly kind: 'child-exit';
  readonly command: string;
  readonly pid: number;
  readonly exitStatus?: number;
  readonly signal?: number;
}
