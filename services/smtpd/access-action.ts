/**
 * The right-hand side of access tables, and what policy servers answer: access(5). Pure.
 */
import { adaptStatus } from './address-status.ts';
import type { Facts, Rule, Settings } from './rule.ts';
import {
  CLASS,
  DUNNO,
  type FoundEntry,
  type Note,
  refusal,
  rejected,
  type Subject,
  serverError,
  type Verdict,
  warning,
} from './verdict.ts';

/** An action (the whole right-hand side), and the table or policy server it comes from. */
export type FoundAction = FoundEntry;

/** What an action is about. */
export interface ActionScope {
  readonly subject: Subject;
  readonly facts: Facts;
  readonly settings: Settings;
  /** Reads restrictions that stand in a table. */
  readonly refer: (restrictions: string) => readonly Rule[];
}

type Act = (text: string, found: FoundAction, scope: ActionScope) => Verdict;

/** An RFC 3463 status, and what follows it. */
const STATUS = /^([245]\.\d{1,3}\.\d{1,3})(?:[ \t]+|$)/;
/** RFC 5322: printable characters but the colon; blanks before it are obsolete. */
const HEADER = /^[!-9;-~]+[ \t]*:/;

/** What one entry of an access table means. */
export function actOn(found: FoundAction, scope: ActionScope): Verdict {
  const [, word = '', text = ''] = /^([^ \t]*)[ \t]*(.*)$/s.exec(found.value) ?? [];
  const verdict = known(word, text, found, scope) ?? referTo(found, scope);
  return { because: found, ...verdict };
}

function known(
  word: string,
  text: string,
  found: FoundAction,
  scope: ActionScope,
): Verdict | undefined {
  const name = word.toUpperCase();
  const act = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (act !== undefined) return act(text, found, scope);
  // Whoever authenticates by other means puts a time stamp here.
  if (/^\d+$/.test(found.value)) return permit('', found, scope);
  if (/^[45]\d\d$/.test(word) && text !== '') {
    const fallback = word.startsWith('4') ? '4.7.1' : '5.7.1';
    return refuse(Number(word), fallback, text, scope.subject);
  }
  return undefined;
}

const ACTIONS: Readonly<Record<string, Act>> = {
  OK: permit,
  RELAY: permit,
  DUNNO: () => DUNNO,
  REJECT: (text, _found, { subject, settings }) =>
    refuse(settings.access_map_reject_code, '5.7.1', text, subject),
  DEFER: (text, _found, { subject, settings }) =>
    refuse(settings.access_map_defer_code, '4.7.1', text, subject),
  DEFER_IF_PERMIT: (text, _found, { subject, settings }) => ({
    ...refuse(settings.access_map_defer_code, '4.7.1', text, subject, 'Service unavailable'),
    kind: 'defer-if-permit',
  }),
  DEFER_IF_REJECT: (text, _found, { subject, settings }) => ({
    ...refuse(settings.access_map_defer_code, '4.7.1', text, subject, 'Service unavailable'),
    kind: 'defer-if-reject',
  }),
  /** Nothing is said; the connection closes. */
  HANGUP: (text) => ({ kind: 'reject', reply: '', logged: { action: 'hangup', text } }),
  INFO: (text) => ({ kind: 'dunno', notes: [{ action: 'info', text }] }),
  WARN: (text) => ({ kind: 'dunno', notes: [{ action: 'warn', text }] }),
  FILTER: (text, found, scope) =>
    text === ''
      ? (unavailable('FILTER', scope, found) ?? malformed(found, 'has FILTER entry without value'))
      : affect('filter', text, found, scope, /:/, 'requires transport:destination'),
  REDIRECT: (text, found, scope) =>
    affect('redirect', text, found, scope, /@/, 'requires user@domain target'),
  BCC: (text, found, scope) =>
    affect('bcc', text, found, scope, /@/, 'requires user@domain target'),
  PREPEND: prepend,
  HOLD: (text, found, scope) => {
    const trouble = unavailable('HOLD', scope, found);
    if (trouble !== undefined) return trouble;
    const note: Note = { action: 'hold', text: told(scope.subject, text, 'HOLD') };
    // Once is enough.
    const notes = scope.facts.message?.isHeld === true ? [] : [note];
    return { kind: 'dunno', notes, effects: [{ kind: 'hold' }] };
  },
  DISCARD: (text, found, scope) => {
    const trouble = unavailable('DISCARD', scope, found);
    if (trouble !== undefined) return trouble;
    const note: Note = { action: 'discard', text: told(scope.subject, text, 'DISCARD') };
    return { kind: 'permit', notes: [note], effects: [{ kind: 'discard' }] };
  },
};

function permit(_text: string, { value, table }: FoundAction, { subject }: ActionScope): Verdict {
  return { kind: 'permit', permitted: { action: value, subject, from: table } };
}

/** `REJECT 5.1.6 text`: the status is optional, and so is the text. */
function refuse(
  code: number,
  fallback: string,
  text: string,
  subject: Subject,
  why = 'Access denied',
): Extract<Verdict, { reply: string }> {
  const [all, own] = STATUS.exec(text) ?? [''];
  const { status, notes } = adaptStatus(own ?? fallback, subject.kind);
  const said = rejected(subject, text.slice(all.length) || why);
  return { kind: 'reject', reply: refusal(code, status, said), notes };
}

/** Something happens to the message, and the log says so. */
function affect(
  kind: 'filter' | 'redirect' | 'bcc',
  text: string,
  found: FoundAction,
  scope: ActionScope,
  form: RegExp,
  need: string,
): Verdict {
  const action = kind.toUpperCase();
  const trouble = unavailable(action, scope, found);
  if (trouble !== undefined) return trouble;
  if (!form.test(text)) return malformed(found, need);
  const { name, kind: what } = scope.subject;
  const note: Note = { action: kind, text: `<${name}>: ${CLASS[what]} triggers ${action} ${text}` };
  return { kind: 'dunno', notes: [note], effects: [{ kind, text }] };
}

function prepend(text: string, found: FoundAction, scope: ActionScope): Verdict {
  const trouble = skippedEarly('PREPEND', scope, found);
  if (trouble !== undefined) return trouble;
  if (scope.facts.stage === 'end-of-data') {
    const why = 'action PREPEND must be used before smtpd_end_of_data_restrictions';
    return { kind: 'dunno', notes: [warning(`access table ${found.table}: ${why}`)] };
  }
  if (!HEADER.test(text)) return malformed(found, 'requires header: text');
  return { kind: 'dunno', effects: [{ kind: 'prepend', text }] };
}

/** Why an action that concerns the message can't be had here. */
function unavailable(action: string, scope: ActionScope, found: FoundAction): Verdict | undefined {
  if (scope.facts.command === 'ETRN') {
    const why = `action ${action} is unavailable in smtpd_etrn_restrictions`;
    return { kind: 'dunno', notes: [warning(`access table ${found.table}: ${why}`)] };
  }
  return skippedEarly(action, scope, found) ?? leftToFilter(action, scope, found);
}

/** Where a filter has the message, there is no queue file to do something to. */
function leftToFilter(
  action: string,
  { settings }: ActionScope,
  { table }: FoundAction,
): Verdict | undefined {
  if (settings.smtpd_proxy_filter === '') return undefined;
  const why = `with smtpd_proxy_filter specified, action ${action} is unavailable`;
  return { kind: 'dunno', notes: [warning(`access table ${table}: ${why}`)] };
}

/** Before MAIL there is no message to do something to; Postfix says so of VRFY as well. */
function skippedEarly(
  action: string,
  { facts }: ActionScope,
  { table }: FoundAction,
): Verdict | undefined {
  if (facts.sender !== undefined) return undefined;
  const where = `${CLASS.client} or ${CLASS.helo} restrictions`;
  const why = `with smtpd_delay_reject=no, action ${action} is always skipped in ${where}`;
  return { kind: 'dunno', notes: [warning(`access table ${table}: ${why}`)] };
}

function malformed({ table, key }: FoundAction, why: string): Verdict {
  return { kind: 'dunno', notes: [warning(`access table ${table} entry "${key}" ${why}`)] };
}

/** What the log tells of an action that refuses nothing. */
function told({ name, kind }: Subject, text: string, action: string): string {
  return `<${name}>: ${CLASS[kind]} ${text || `triggers ${action} action`}`;
}

/** Restrictions, or a class of them, in the place of an action. */
function referTo({ value, table }: FoundAction, { subject, refer }: ActionScope): Verdict {
  if (value.includes(':')) {
    return serverError(
      `access table ${table} has entry with lookup table: ${value}`,
      'do not specify lookup tables inside SMTPD access maps',
      'define a restriction class and specify its name instead.',
    );
  }
  const rules = refer(value);
  if (rules.length > 0) return { kind: 'see', rules, subject, entry: { table, value } };
  return {
    kind: 'permit',
    notes: [warning(`access table ${table} entry ${value} has empty value`)],
  };
}
