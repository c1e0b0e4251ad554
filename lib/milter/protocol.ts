/** The letters, bits and names of the Milter protocol. ipc.md 3.21. */

/** What a milter is told of. */
export type MilterEvent =
  | 'connect'
  | 'helo'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'unknown'
  | 'header'
  | 'endOfHeaders'
  | 'body'
  | 'endOfMessage';

/** Where macros are sent; each has a list of its own. */
export type MacroStage =
  | 'connect'
  | 'helo'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'endOfHeaders'
  | 'endOfMessage'
  | 'unknown';

export interface EventRules {
  readonly letter: string;
  /** In messages. */
  readonly name: string;
  /** The step by which a milter says that it does not want to hear of it. */
  readonly unwanted: number;
  /** The step by which it says that it will not answer. */
  readonly unanswered: number;
  readonly macros: MacroStage;
}

const rules = (
  letter: string,
  name: string,
  macros: MacroStage,
  unwanted?: number,
  unanswered?: number,
): EventRules => ({
  letter,
  name: `SMFIC_${name}`,
  macros,
  unwanted: unwanted === undefined ? 0 : 1 << unwanted,
  unanswered: unanswered === undefined ? 0 : 1 << unanswered,
});

export const EVENTS: Readonly<Record<MilterEvent, EventRules>> = {
  connect: rules('C', 'CONNECT', 'connect', 0, 12),
  helo: rules('H', 'HELO', 'helo', 1, 13),
  mail: rules('M', 'MAIL', 'mail', 2, 14),
  rcpt: rules('R', 'RCPT', 'rcpt', 3, 15),
  data: rules('T', 'DATA', 'data', 9, 16),
  unknown: rules('U', 'UNKNOWN', 'unknown', 8, 17),
  header: rules('L', 'HEADER', 'endOfHeaders', 5, 7),
  endOfHeaders: rules('N', 'EOH', 'endOfHeaders', 6, 18),
  body: rules('B', 'BODY', 'endOfMessage', 4, 19),
  endOfMessage: rules('E', 'BODYEOB', 'endOfMessage'),
};

/** What nobody answers. */
export const COMMAND = { negotiate: 'O', macros: 'D', abort: 'A', quit: 'Q' } as const;

/** All that a milter may do to a message: headers, body, recipients, quarantine, sender, macro lists. */
export const ACTIONS = 0x1ff;

/** Steps that are no event's. */
export const STEP = { rejectedRecipients: 1 << 11, leadingSpace: 1 << 20 } as const;

/** The versions that we speak, and the steps that each has. */
export const STEPS: Readonly<Record<number, number>> = {
  2: 0x7f,
  3: 0x17f,
  4: 0x37f,
  6: 0x1f_ffff,
};

/** Steps that stand for an event which a version may not have. */
export const EVENT_STEPS = 0x37f;

export const REPLY = {
  addRecipient: '+',
  deleteRecipient: '-',
  addRecipientWith: '2',
  shutdown: '4',
  accept: 'a',
  replaceBody: 'b',
  continue: 'c',
  discard: 'd',
  changeSender: 'e',
  connectionFailed: 'f',
  addHeader: 'h',
  insertHeader: 'i',
  changeHeader: 'm',
  progress: 'p',
  quarantine: 'q',
  reject: 'r',
  skip: 's',
  tempfail: 't',
  replyCode: 'y',
} as const;

const REPLY_NAMES: Readonly<Record<string, string>> = {
  [REPLY.addRecipient]: 'ADDRCPT',
  [REPLY.deleteRecipient]: 'DELRCPT',
  [REPLY.addRecipientWith]: 'ADDRCPT_PAR',
  [REPLY.shutdown]: 'SHUTDOWN',
  [REPLY.accept]: 'ACCEPT',
  [REPLY.replaceBody]: 'REPLBODY',
  [REPLY.continue]: 'CONTINUE',
  [REPLY.discard]: 'DISCARD',
  [REPLY.changeSender]: 'CHGFROM',
  [REPLY.connectionFailed]: 'CONN_FAIL',
  [REPLY.addHeader]: 'ADDHEADER',
  [REPLY.insertHeader]: 'INSHEADER',
  [REPLY.changeHeader]: 'CHGHEADER',
  [REPLY.progress]: 'PROGRESS',
  [REPLY.quarantine]: 'QUARANTINE',
  [REPLY.reject]: 'REJECT',
  [REPLY.skip]: 'SKIP',
  [REPLY.tempfail]: 'TEMPFAIL',
  [REPLY.replyCode]: 'REPLYCODE',
};

/** A reply as messages name it. */
export function replyName(letter: string): string {
  const name = Object.hasOwn(REPLY_NAMES, letter) ? REPLY_NAMES[letter] : undefined;
  return name === undefined ? '(unknown filter reply)' : `SMFIR_${name}`;
}
