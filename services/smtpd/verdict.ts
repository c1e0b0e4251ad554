/** What a restriction says, and where that was decided. */
import type { RejectAction } from '../../lib/log/event.ts';
import type { Rule } from './rule.ts';

/** One step of a decision: which parameter, which restriction, what came of it. */
export interface Step {
  /** `smtpd_relay_restrictions`, and where main.cf sets it. */
  readonly parameter: string;
  /** As written in the list: `permit_mynetworks`. */
  readonly restriction: string;
  readonly verdict: Verdict['kind'];
  /** What it looked at: the pattern, table entry or address class. */
  readonly because?: Reason;
  /** What it would say to the client. */
  readonly reply?: string;
  /** 0: it stands in the list itself; 1: in a class or table entry that the list refers to ... */
  readonly depth: number;
}

/** Why: a table's answer, or words; made only when somebody wants to read them. */
export type Reason = string | (() => string) | FoundEntry;

/** A table's answer. */
export interface FoundEntry {
  readonly table: string;
  readonly key: string;
  readonly value: string;
}

/** The words of a reason. */
export function reasonText(reason: Reason): string {
  if (typeof reason === 'string') return reason;
  return typeof reason === 'function'
    ? reason()
    : `${reason.table}: ${reason.key}: ${reason.value}`;
}

/** Whom or what a refusal names: a client, the HELO name, an address. */
export interface Subject {
  readonly name: string;
  readonly kind: SubjectKind;
}

export type SubjectKind = keyof typeof CLASS;

/** `Recipient address` and the like: what a kind of subject is called in replies. */
export const CLASS = {
  client: 'Client host',
  'reverse-client': 'Unverified Client host',
  helo: 'Helo command',
  sender: 'Sender address',
  recipient: 'Recipient address',
  data: 'Data command',
  'end-of-data': 'End-of-data',
  etrn: 'Etrn command',
  login: 'SASL login name',
  certificate: 'Client certificate',
} as const;

/** `<ann@example.com>: Sender address rejected: Access denied`. */
export function rejected({ name, kind }: Subject, why: string): string {
  return `<${name}>: ${CLASS[kind]} rejected: ${why}`;
}

/** A restriction has nothing against the client, or nothing to say. */
interface Favour {
  readonly kind: 'permit' | 'dunno';
  readonly because?: Reason;
  readonly notes?: readonly Note[];
  readonly effects?: readonly Effect[];
  /** For the log, after the permit. */
  readonly afterwards?: readonly Note[];
  /** Behind `warn_if_reject` they are left out. */
  readonly isHushable?: boolean;
  /** This may not permit: what is said instead. */
  readonly forbidden?: Verdict;
  /** What the log says of a permit, where it is not the restriction that speaks of its subject. */
  readonly permitted?: Permitted;
}

/** For `smtpd_log_access_permit_actions`. */
export interface Permitted {
  readonly action?: string;
  readonly subject?: Subject;
  /** The table. */
  readonly from?: string;
}

/** A restriction refuses: now, or depending on what the others say. */
interface Objection {
  readonly kind: 'reject' | 'defer-if-permit' | 'defer-if-reject';
  /** Empty: the connection closes without one. */
  readonly reply: string;
  /** What the log says in place of the reply. */
  readonly logged?: Note;
  readonly because?: Reason;
  /** It is us who are in trouble: `warn_if_reject` does not make it harmless. */
  readonly isTrouble?: boolean;
  readonly notes?: readonly Note[];
  /** For the log, after the refusal. */
  readonly afterwards?: readonly Note[];
}

/** Other restrictions decide: those of a class, or those that a table names. */
interface Reference {
  readonly kind: 'see';
  readonly rules: readonly Rule[];
  /** What they speak of, where that is not what the list speaks of. */
  readonly subject?: Subject;
  /** They may not permit: what is said when they do. */
  readonly forbidden?: Verdict;
  /** The entry of an access table that they stand in. */
  readonly entry?: { readonly table: string; readonly value: string };
  readonly because?: Reason;
  readonly notes?: readonly Note[];
}

/** Something for the log besides the refusal: a line of its own, or one about the client. */
export type Note =
  | { readonly severity: 'info' | 'warn'; readonly text: string }
  | { readonly action: RejectAction; readonly text: string };

/** What an access table does to the message at hand. */
export type Effect =
  | { readonly kind: 'filter' | 'redirect' | 'bcc' | 'prepend'; readonly text: string }
  | { readonly kind: 'hold' | 'discard' };

/** The outcome of one restriction. */
export type Verdict = Favour | Objection | Reference;

export const DUNNO: Verdict = { kind: 'dunno' };
export const PERMIT: Verdict = { kind: 'permit' };

/** The outcome of all lists of one stage. */
export interface Decision {
  /** The reply that refuses; `undefined` permits. */
  readonly refusal: string | undefined;
  /** For the log, in order; the refusal is among them. */
  readonly notes: readonly Note[];
  readonly effects: readonly Effect[];
  /** To be sent later, if everything else permits. */
  readonly deferIfPermit: string | undefined;
  readonly trail: readonly Step[];
}

/**
 * Composes a refusal. The class of the status follows the code, whatever the configuration made
 * of it.
 */
export function refusal(code: number, status: string, text: string): string {
  const digit = isRefusal(code) ? String(code).charAt(0) : status.charAt(0);
  const reply = `${code} ${digit}${status.slice(1)} ${text}`;
  return reply.replace(/[^\x20-\x7e\x80-\uffff]/g, ' ');
}

/** What a reply is while smtputf8_enable is off: a blank for each byte that is not ASCII. */
export function asciiOnly(reply: string): string {
  return reply.replace(/[^\0-\x7f]+/g, (text) => ' '.repeat(Buffer.byteLength(text)));
}

function isRefusal(code: number): boolean {
  return code >= 400 && code <= 599;
}

/** A reply whose code refuses nothing gives way to one that does; the log tells. */
export function mended(reply: string): { reply: string; notes: readonly Note[] } {
  if (reply === '' || isRefusal(Number(reply.slice(0, 3)))) return { reply, notes: [] };
  const notes = [warning(`SMTP reply code configuration error: ${reply}`)];
  return { reply: '450 4.7.1 Service unavailable', notes };
}

/** A restriction that refuses now. */
export function reject(
  code: number,
  status: string,
  text: string,
  rest: Omit<Objection, 'kind' | 'reply'> = {},
): Verdict {
  return { kind: 'reject', reply: refusal(code, status, text), ...rest };
}

/** We can't tell: a table or a service does not answer. */
export function lookupFailure(name: string, because: string, ...warnings: string[]): Objection {
  const reply = refusal(451, '4.3.0', `<${name}>: Temporary lookup failure`);
  return { kind: 'reject', reply, because, isTrouble: true, notes: warnings.map(warning) };
}

/** What is configured makes no sense; the log says what. */
export function serverError(...warnings: string[]): Objection {
  const reply = refusal(451, '4.3.5', 'Server configuration error');
  return { kind: 'reject', reply, isTrouble: true, notes: warnings.map(warning) };
}

/** A warning for the log. */
export function warning(text: string): Note {
  return { severity: 'warn', text };
}

/** The client, as a refusal names it. */
export function clientOf({ client }: { readonly client: { readonly label: string } }): Subject {
  return { name: client.label, kind: 'client' };
}
