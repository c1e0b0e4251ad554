/**
 * Restriction lists: read once at start, evaluated for each client. The evaluation is pure but for
 * what it asks of `Knowledge`; it returns the decision and how it was reached. It only waits when a
 * restriction has to.
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
import { type Decision, type Note, refusal, type Step, type Verdict } from './verdict.ts';

/** One entry of a list. */
interface Rule {
  readonly name: string;
  /** `warn_if_reject` stands before it: it is only logged. */
  readonly warnOnly: boolean;
  readonly restriction: Restriction;
}

/** One parameter's restrictions. */
export interface RestrictionList {
  readonly parameter: string;
  readonly stage: Stage;
  readonly rules: readonly Rule[];
}

/** These are followed by a word of their own. */
const TAKES_ARGUMENT = /^(?:check_\w+|reject_r(?:bl|hsbl)\w*|permit_(?:dnswl|rhswl)_client|sleep)$/;

/** What the project does not have: the client hears of a configuration error, the log says which. */
const notBuilt: Restriction = () => ({
  kind: 'reject',
  reply: refusal(451, '4.3.5', 'Server configuration error'),
  isTrouble: true,
});

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
    rules.push({ name, warnOnly, restriction: restriction ?? notBuilt });
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
export function decide(
  lists: readonly RestrictionList[],
  facts: SessionFacts,
  knowledge: Knowledge,
  deferred?: string,
): Decision | Promise<Decision> {
  return new Evaluation(lists, facts, knowledge, deferred).proceed();
}

class Evaluation {
  readonly #lists: readonly RestrictionList[];
  readonly #sessionFacts: SessionFacts;
  readonly #knowledge: Knowledge;
  readonly #trail: Step[] = [];
  readonly #warnings: string[] = [];
  readonly #notes: Note[] = [];
  #deferIfPermit: string | undefined;
  #deferIfReject: string | undefined;
  /** Where we are: the list, the rule in it, and what the list looks at. */
  #list = -1;
  #rules: readonly Rule[] = [];
  #rule = 0;
  #facts: Facts | undefined;

  constructor(
    lists: readonly RestrictionList[],
    facts: SessionFacts,
    knowledge: Knowledge,
    deferred: string | undefined,
  ) {
    this.#lists = lists;
    this.#sessionFacts = facts;
    this.#knowledge = knowledge;
    this.#deferIfPermit = deferred;
  }

  /** Goes on until something refuses, nothing is left, or a restriction makes us wait. */
  proceed(): Decision | Promise<Decision> {
    for (;;) {
      const rule = this.#rules[this.#rule];
      if (rule === undefined) {
        if (!this.#nextList()) return this.#decision(undefined);
        continue;
      }
      this.#rule += 1;
      const verdict = rule.restriction(this.#facts as Facts, this.#knowledge);
      if (verdict instanceof Promise) {
        return verdict.then((known) => this.#judge(rule, known) ?? this.proceed());
      }
      const decision = this.#judge(rule, verdict);
      if (decision !== undefined) return decision;
    }
  }

  #nextList(): boolean {
    this.#list += 1;
    const list = this.#lists[this.#list];
    if (list === undefined) return false;
    const { stage, rules } = list;
    // What one stage would rather say than refuse does not concern the next.
    if (stage !== this.#facts?.stage) this.#deferIfReject = undefined;
    this.#rule = 0;
    const subject = subjectOf(stage, this.#sessionFacts);
    // Nobody said HELO, or MAIL: there is nothing to look at.
    this.#rules = subject === undefined ? [] : rules;
    if (this.#rules.length > 0) {
      this.#facts = { ...this.#sessionFacts, stage, subject: subject ?? '' };
    }
    return true;
  }

  /** @returns the decision, if this verdict is the last word */
  #judge({ name, warnOnly }: Rule, verdict: Verdict): Decision | undefined {
    const parameter = this.#lists[this.#list]?.parameter ?? '';
    this.#trail.push({
      parameter,
      restriction: name,
      verdict: verdict.kind,
      because: verdict.because,
    });
    if (!('reply' in verdict)) {
      if (verdict.kind === 'permit') this.#rules = [];
      return undefined;
    }
    const { kind, reply, isTrouble, note } = verdict;
    if (note !== undefined) this.#notes.push(note);
    if (warnOnly && isTrouble !== true) {
      this.#warnings.push(reply);
    } else if (kind === 'defer-if-permit') {
      this.#deferIfPermit ??= reply;
    } else if (kind === 'defer-if-reject') {
      this.#deferIfReject ??= reply;
    } else {
      const isFinal = reply.startsWith('5');
      return this.#decision((isFinal ? this.#deferIfReject : undefined) ?? reply);
    }
    return undefined;
  }

  #decision(refusal: string | undefined): Decision {
    return {
      refusal,
      warnings: this.#warnings,
      notes: this.#notes,
      deferIfPermit: this.#deferIfPermit,
      trail: this.#trail,
    };
  }
}

/** What a list speaks of; `undefined` when the client has not said it. */
function subjectOf(stage: Stage, facts: SessionFacts): string | undefined {
  switch (stage) {
    case 'client':
      return facts.clientLabel;
    case 'helo':
      return facts.helo;
    case 'sender':
      return facts.sender;
    case 'recipient':
      return facts.recipient;
    case 'data':
      return 'DATA';
    case 'end-of-data':
      return 'END-OF-MESSAGE';
    case 'etrn':
      return facts.etrnDomain;
  }
}
