/**
 * Restriction lists: read once at start, evaluated for each client. The evaluation is pure but for
 * what it asks of `Knowledge`; it returns the decision and how it was reached.
 */
import type { Origin } from '../../lib/config/source.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import {
  type Facts,
  type Knowledge,
  RELAY_BARRIERS,
  RESTRICTIONS,
  type Restriction,
  type Stage,
} from './restrictions.ts';
import { type Decision, refusal, type Step, type Verdict } from './verdict.ts';

/** One entry of a list. */
interface Rule {
  readonly name: string;
  /** `warn_if_reject` stands before it: it is only logged. */
  readonly warnOnly: boolean;
  /** Absent: this project does not have it, and the client hears of a configuration error. */
  readonly restriction: Restriction | undefined;
}

/** One parameter's restrictions. */
export interface RestrictionList {
  readonly parameter: string;
  readonly stage: Stage;
  readonly rules: readonly Rule[];
}

/** Postfix's answer to what the administrator got wrong; the log says what. */
const CONFIGURATION_ERROR = refusal(451, '4.3.5', 'Server configuration error');
/** These are followed by a word of their own. */
const TAKES_ARGUMENT = /^(?:check_\w+|reject_r(?:bl|hsbl)\w*|permit_(?:dnswl|rhswl)_client|sleep)$/;

/**
 * Reads one list. What is not built is said once, here, by name.
 *
 * @param words the parameter's value, split at blanks and commas
 */
export function parseRestrictions(
  parameter: string,
  stage: Stage,
  words: readonly string[],
  warn: (text: string) => void,
  origin?: Origin,
): RestrictionList {
  const rules: Rule[] = [];
  const where =
    origin === undefined ? parameter : `${origin.file}, line ${origin.line}: ${parameter}`;
  let warnOnly = false;
  for (let at = 0; at < words.length; at += 1) {
    const word = (words[at] ?? '').toLowerCase();
    if (word === 'warn_if_reject') {
      warnOnly = true;
      continue;
    }
    const restriction = Object.hasOwn(RESTRICTIONS, word) ? RESTRICTIONS[word] : undefined;
    const argument =
      restriction === undefined && TAKES_ARGUMENT.test(word) ? words[at + 1] : undefined;
    if (argument !== undefined) at += 1;
    const name = argument === undefined ? word : `${word} ${argument}`;
    if (restriction === undefined) {
      warn(
        `${where}: restriction "${name}" is not built in Posthaste: clients who meet it get 451 4.3.5`,
      );
    }
    rules.push({ name, warnOnly, restriction });
    warnOnly = false;
  }
  return { parameter, stage, rules };
}

/**
 * Refuses to start a server through which strangers could relay.
 *
 * @throws {FatalError} with Postfix's text
 */
export function requireRelayBarrier(lists: readonly RestrictionList[]): void {
  const hasBarrier = lists.some(({ rules }) =>
    rules.some(({ name, warnOnly }) => !warnOnly && RELAY_BARRIERS.has(name)),
  );
  if (hasBarrier) return;
  throw new FatalError(
    'in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one ' +
      'working instance of: reject_unauth_destination, defer_unauth_destination, reject, defer, ' +
      'defer_if_permit or check_relay_domains',
  );
}

/** The facts of a session, before a list adds what it speaks of. */
export type SessionFacts = Omit<Facts, 'stage' | 'subject'>;

/**
 * Goes through the lists in their order. A permit ends its own list only; a refusal ends all.
 *
 * @param deferred a reason from an earlier stage to refuse what is permitted here
 */
export async function decide(
  lists: readonly RestrictionList[],
  facts: SessionFacts,
  knowledge: Knowledge,
  deferred?: string,
): Promise<Decision> {
  const trail: Step[] = [];
  const warnings: string[] = [];
  let deferIfPermit = deferred;
  let deferIfReject: string | undefined;
  for (const { parameter, stage, rules } of lists) {
    // Nobody said HELO, or MAIL: there is nothing to look at.
    if (stage === 'helo' && facts.helo === undefined) continue;
    const subject = subjectOf(stage, facts);
    for (const { name, warnOnly, restriction } of rules) {
      const verdict: Verdict =
        restriction === undefined
          ? { kind: 'reject', reply: CONFIGURATION_ERROR }
          : await restriction({ ...facts, stage, subject }, knowledge);
      trail.push({ parameter, restriction: name, verdict: verdict.kind, because: verdict.because });
      if (!('reply' in verdict)) {
        if (verdict.kind === 'permit') break;
        continue;
      }
      if (warnOnly && verdict.reply !== CONFIGURATION_ERROR) {
        warnings.push(verdict.reply);
      } else if (verdict.kind === 'defer-if-permit') {
        deferIfPermit ??= verdict.reply;
      } else if (verdict.kind === 'defer-if-reject') {
        deferIfReject ??= verdict.reply;
      } else {
        const isFinal = verdict.reply.startsWith('5');
        const reply = (isFinal ? deferIfReject : undefined) ?? verdict.reply;
        return { refusal: reply, warnings, deferIfPermit, trail };
      }
    }
  }
  return { refusal: undefined, warnings, deferIfPermit, trail };
}

function subjectOf(stage: Stage, facts: SessionFacts): string {
  switch (stage) {
    case 'client':
      return facts.clientLabel;
    case 'helo':
      return facts.helo ?? '';
    case 'sender':
      return facts.sender ?? '';
    case 'recipient':
      return facts.recipient ?? '';
    case 'data':
      return 'DATA';
    case 'end-of-data':
      return 'END-OF-MESSAGE';
    case 'etrn':
      return '';
  }
}
