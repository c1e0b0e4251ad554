/**
 * The evaluation of restriction lists. It is pure but for what it asks of `Knowledge`; it returns
 * the decision and how it was reached. It only waits when a restriction has to.
 */
import type { Facts, Knowledge, RestrictionList, Rule, Stage } from './rule.ts';
import {
  asciiOnly,
  CLASS,
  type Decision,
  type Effect,
  mended,
  type Note,
  type Step,
  type Subject,
  serverError,
  type Verdict,
} from './verdict.ts';

/** The facts of a session, before a list adds what it speaks of. */
export type SessionFacts = Omit<Facts, 'stage' | 'subject'>;

/** Tables and classes that lead to each other end here. */
const DEPTH_MAX = 100;

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

/** Rules that are being gone through: a list, or what one of its rules referred to. */
interface Frame {
  readonly rules: readonly Rule[];
  readonly facts: Facts;
  /** `warn_if_reject` stood before the reference. */
  readonly warnOnly: boolean;
  readonly forbidden: Verdict | undefined;
  next: number;
}

class Evaluation {
  readonly #lists: readonly RestrictionList[];
  readonly #sessionFacts: SessionFacts;
  readonly #knowledge: Knowledge;
  readonly #trail: Step[] = [];
  readonly #notes: Note[] = [];
  readonly #effects: Effect[] = [];
  #deferIfPermit: string | undefined;
  #deferIfReject: string | undefined;
  /** Where we are: the list, and the rules in it. */
  #list = -1;
  #stage: Stage | undefined;
  #frames: Frame[] = [];

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
      const frame = this.#frames.at(-1);
      const rule = frame?.rules[frame.next];
      if (frame === undefined) {
        if (!this.#nextList()) return this.#decision(undefined);
        continue;
      }
      if (rule === undefined) {
        this.#frames.pop();
        continue;
      }
      frame.next += 1;
      const verdict = rule.restriction(frame.facts, this.#knowledge);
      const decision =
        verdict instanceof Promise
          ? verdict.then((known) => this.#judge(frame, rule, known))
          : this.#judge(frame, rule, verdict);
      if (decision instanceof Promise) return decision.then((known) => known ?? this.proceed());
      if (decision !== undefined) return decision;
    }
  }

  #nextList(): boolean {
    this.#list += 1;
    const list = this.#lists[this.#list];
    if (list === undefined) return false;
    const { stage, rules } = list;
    // What one stage would rather say than refuse does not concern the next.
    if (stage !== this.#stage) this.#deferIfReject = undefined;
    // VRFY without a sender: nothing is promised to anybody that could be taken back.
    if (stage === 'recipient' && stage !== this.#stage && this.#sessionFacts.sender === undefined) {
      this.#deferIfPermit = undefined;
    }
    this.#stage = stage;
    const name = nameOf(stage, this.#sessionFacts);
    // Nobody said HELO, or MAIL: there is nothing to look at.
    if (name === undefined || rules.length === 0) return true;
    const facts = factsAt(stage, { name, kind: stage }, this.#sessionFacts);
    this.#frames = [{ rules, facts, warnOnly: false, forbidden: undefined, next: 0 }];
    return true;
  }

  /** @returns the decision, if this verdict is the last word */
  #judge(
    frame: Frame,
    rule: Rule,
    verdict: Verdict,
  ): Decision | undefined | Promise<Decision | undefined> {
    this.#trail.push({
      parameter: this.#lists[this.#list]?.parameter ?? '',
      restriction: rule.name,
      verdict: verdict.kind,
      because: verdict.because,
      reply: 'reply' in verdict ? verdict.reply : undefined,
      depth: this.#frames.length - 1,
    });
    if (verdict.notes !== undefined) this.#notes.push(...verdict.notes);
    switch (verdict.kind) {
      case 'dunno':
        if (verdict.effects !== undefined) this.#effects.push(...verdict.effects);
        return undefined;
      case 'permit':
        return this.#permit(frame, rule, verdict);
      case 'see':
        return this.#refer(frame, rule, verdict);
      default:
        return this.#object(frame, rule.warnOnly || frame.warnOnly, verdict);
    }
  }

  #permit(
    frame: Frame,
    rule: Rule,
    verdict: Extract<Verdict, { kind: 'permit' | 'dunno' }>,
  ): Decision | undefined | Promise<Decision | undefined> {
    const { permitted = {} } = verdict;
    const { subject = frame.facts.subject, action = rule.name, from } = permitted;
    const { logsPermit } = this.#knowledge;
    // What is deferred after all is not permitted.
    if (logsPermit === undefined || this.#deferIfPermit !== undefined) {
      return this.#afterPermit(frame, rule, verdict);
    }
    return logsPermit(action).then((isLogged) => {
      if (isLogged) this.#notes.push(permitNote(action, subject, from));
      return this.#afterPermit(frame, rule, verdict);
    });
  }

  #afterPermit(
    frame: Frame,
    rule: Rule,
    {
      effects = [],
      afterwards = [],
      isHushable = false,
      forbidden: own,
    }: Extract<Verdict, { kind: 'permit' | 'dunno' }>,
  ): Decision | undefined | Promise<Decision | undefined> {
    if (!isHushable || !(rule.warnOnly || frame.warnOnly)) this.#notes.push(...afterwards);
    const forbidden = own ?? this.#frames.find((each) => each.forbidden !== undefined)?.forbidden;
    if (forbidden !== undefined) return this.#judge(frame, rule, forbidden);
    this.#frames = [];
    this.#effects.push(...effects);
    if (effects.some(({ kind }) => kind === 'discard')) return this.#decision(undefined);
    return undefined;
  }

  #refer(
    frame: Frame,
    rule: Rule,
    { rules, subject, forbidden, entry }: Extract<Verdict, { kind: 'see' }>,
  ): Decision | undefined | Promise<Decision | undefined> {
    if (this.#frames.length > DEPTH_MAX) {
      const where =
        entry === undefined
          ? `restriction class ${rule.name}`
          : `access table ${entry.table} entry ${entry.value}`;
      return this.#judge(frame, rule, serverError(`${where} causes unreasonable recursion`));
    }
    const facts = subject === undefined ? frame.facts : { ...frame.facts, subject };
    const warnOnly = rule.warnOnly || frame.warnOnly;
    this.#frames.push({ rules, facts, warnOnly, forbidden, next: 0 });
    return undefined;
  }

  #object(
    { facts }: Frame,
    warnOnly: boolean,
    { kind, reply: given, logged, isTrouble, afterwards = [] }: Extract<Verdict, { reply: string }>,
  ): Decision | undefined {
    const reply = this.#knowledge.settings.smtputf8_enable ? given : asciiOnly(given);
    if (kind === 'defer-if-reject') {
      this.#deferIfReject ??= reply;
    } else if (kind === 'defer-if-permit' && !warnOnly) {
      this.#deferIfPermit ??= reply;
    } else {
      const usable = mended(reply);
      this.#notes.push(...usable.notes);
      if (warnOnly && isTrouble !== true) {
        this.#notes.push({ action: 'reject_warning', text: usable.reply });
        return undefined;
      }
      const isFinal = reply.startsWith('5');
      const refusal = (isFinal ? this.#deferIfReject : undefined) ?? usable.reply;
      this.#notes.push(logged ?? { action: 'reject', text: refusal }, ...afterwards);
      const last = this.#lists[this.#list]?.afterRefusal?.(facts);
      if (last !== undefined) this.#notes.push(last);
      return this.#decision(refusal);
    }
    // Whatever the rest of the list said, the client would have to come back.
    if (this.#deferIfPermit !== undefined && this.#deferIfReject !== undefined) this.#frames = [];
    return undefined;
  }

  #decision(refusal: string | undefined): Decision {
    return {
      refusal,
      notes: this.#notes,
      effects: this.#effects,
      deferIfPermit: this.#deferIfPermit,
      trail: this.#trail,
    };
  }
}

/** Field by field: to spread the session's facts takes several times as long. */
function factsAt(stage: Stage, subject: Subject, session: SessionFacts): Facts {
  return {
    stage,
    subject,
    client: session.client,
    isLoginDown: session.isLoginDown,
    helo: session.helo,
    sender: session.sender,
    senderRoute: session.senderRoute,
    recipient: session.recipient,
    recipientRoute: session.recipientRoute,
    recipientCount: session.recipientCount,
    etrnDomain: session.etrnDomain,
    pipelined: session.pipelined,
    isEncrypted: session.isEncrypted,
    tls: session.tls,
    command: session.command,
    protocol: session.protocol,
    message: session.message,
  };
}

function permitNote(action: string, { name, kind }: Subject, table: string | undefined): Note {
  const from = table === undefined ? '' : `from ${table}`;
  return { action: 'permit', text: `action=${action} for ${CLASS[kind]}=${name} ${from}` };
}

/** What a list speaks of; `undefined` when the client has not said it. */
function nameOf(stage: Stage, facts: SessionFacts): string | undefined {
  switch (stage) {
    case 'client':
      return facts.client.label;
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
