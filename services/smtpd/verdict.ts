/** What a restriction says, and where that was decided. */

/** One step of a decision: which parameter, which restriction, what came of it. */
export interface Step {
  /** `smtpd_relay_restrictions`. */
  readonly parameter: string;
  /** As written in the list: `permit_mynetworks`. */
  readonly restriction: string;
  readonly verdict: string;
  /** What it looked at: the pattern, table entry or address class. */
  readonly because?: string;
}

/** A restriction has nothing against the client, or nothing to say. */
interface Favour {
  readonly kind: 'permit' | 'dunno';
  readonly because?: string;
}

/** A restriction refuses: now, or depending on what the others say. */
interface Objection {
  readonly kind: 'reject' | 'defer-if-permit' | 'defer-if-reject';
  readonly reply: string;
  readonly because?: string;
  /** It is us who are in trouble: `warn_if_reject` does not make it harmless. */
  readonly isTrouble?: boolean;
  readonly note?: Note;
}

/** Something for the log besides the refusal. */
export interface Note {
  readonly severity: 'info' | 'warn';
  readonly text: string;
}

/** The outcome of one restriction. */
export type Verdict = Favour | Objection;

export const DUNNO: Verdict = { kind: 'dunno' };
export const PERMIT: Verdict = { kind: 'permit' };

/** The outcome of all lists of one stage. */
export interface Decision {
  /** The reply that refuses; `undefined` permits. */
  readonly refusal: string | undefined;
  /** Refusals that were only warned about. */
  readonly warnings: readonly string[];
  readonly notes: readonly Note[];
  /** To be sent later, if everything else permits. */
  readonly deferIfPermit: string | undefined;
  readonly trail: readonly Step[];
}

/** Replies are cut here. smtp-replies.md 0.1. */
const REPLY_MAX = 510;

/**
 * Composes a refusal. The class of the status follows the code, whatever the configuration made
 * of it; a code that is none becomes a temporary one.
 */
export function refusal(code: number, status: string, text: string): string {
  const valid = code >= 400 && code <= 599;
  const digit = valid ? String(code)[0] : '4';
  const reply = `${valid ? code : 450} ${digit}${status.slice(1)} ${text}`;
  return reply.replace(/[^\x20-\x7e\x80-\uffff]/g, ' ').slice(0, REPLY_MAX);
}

/** We can't tell: a table or a service does not answer. */
export function lookupFailure(subject: string, because: string): Objection {
  const reply = refusal(451, '4.3.0', `<${subject}>: Temporary lookup failure`);
  return { kind: 'reject', reply, because, isTrouble: true };
}
