/** How `postfix explain` says what it found out. Pure. */

import { placeOf } from '../../lib/table/place.ts';
import { type Reason, reasonText, type Step } from '../../services/smtpd/verdict.ts';
import {
  type Answered,
  type Judgement,
  NAME_UNKNOWN,
  type Question,
} from '../../services/smtpd/what-if.ts';
import type { Route, RouteStep, Way } from './explain-route.ts';

export interface Explained extends Answered {
  readonly question: Question;
  readonly isHeloAssumed: boolean;
  /** The line of master.cf. */
  readonly service: string;
  /** Parameters that would bring others in, who are not asked. */
  readonly others: readonly { readonly name: string; readonly value: string }[];
  readonly contentFilter: string;
  readonly sender: { readonly address: string; readonly steps: readonly RouteStep[] };
  readonly routes: readonly { readonly recipient: string; readonly route: Route }[];
  readonly copies: readonly RouteStep[];
  /** Where transports stand in master.cf. */
  readonly transports: ReadonlyMap<string, string>;
}

/** Exit statuses, of sysexits.h where they have one. */
const ACCEPTED = 0;
const DEPENDS = 69;
const DEFERRED = 75;
const REFUSED = 77;

const REPLY_REFUSED = /^5/;
const REPLY_DEFERRED = /^(?:4|$)/;

/** The first answer that keeps the mail away: RCPT matters, the rest leads there. */
function deciding({ exchanges }: Explained) {
  return exchanges.find(({ reply }) => REPLY_REFUSED.test(reply) || REPLY_DEFERRED.test(reply));
}

/** 0: accepted; 75: for now not; 77: no; 69: that depends on somebody who was not asked. */
export function exitStatus(explained: Explained): number {
  const refusal = deciding(explained);
  if (refusal === undefined) return isUncertain(explained) ? DEPENDS : ACCEPTED;
  if (mightPermit(refusal, explained)) return DEPENDS;
  return REPLY_REFUSED.test(refusal.reply) ? REFUSED : DEFERRED;
}

function isUncertain({ exchanges, unasked, others }: Explained): boolean {
  const steps = exchanges.flatMap(({ judgements }) =>
    judgements.flatMap(({ decision }) => decision.trail),
  );
  return others.length > 0 || steps.some(({ because }) => because && unasked.has(because));
}

/** Somebody who was not asked might have permitted what was refused later. */
function mightPermit(
  { judgements }: Explained['exchanges'][number],
  { unasked }: Explained,
): boolean {
  return judgements.some(({ decision }) =>
    decision.trail.some(
      ({ because, restriction }) =>
        because !== undefined && unasked.has(because) && /^(?:check|permit)_/.test(restriction),
    ),
  );
}

export function formatExplained(explained: Explained): string {
  const lines = [
    ...header(explained),
    '',
    ...explained.exchanges.flatMap((exchange) => [...formatExchange(exchange, explained), '']),
    ...formatRoutes(explained),
    verdict(explained),
  ];
  return `${lines.join('\n')}\n`;
}

function header({ client, question, service, isHeloAssumed, others }: Explained): string[] {
  const { network } = client;
  const lines = [
    `smtpd    ${service}`,
    `client   ${client.label}, ${typeof network === 'string' ? `in mynetworks: ${network}` : 'not in mynetworks'}`,
  ];
  if (question.name !== undefined && client.name !== question.name) {
    lines.push('         smtpd_peername_lookup = no: smtpd asks for nobody’s name');
  } else if (question.name === undefined && !question.asksDns && client.name === NAME_UNKNOWN) {
    lines.push('         its name is not known: say it with --name, or ask the DNS with --dns');
  }
  if (isHeloAssumed) lines.push(`helo     ${question.helo} is assumed: say it with --helo`);
  for (const { name, value } of others) lines.push(`unasked  ${name} = ${value} has a say, too`);
  return lines;
}

function formatExchange(
  { command, reply, judgements, log }: Explained['exchanges'][number],
  { unasked, service }: Explained,
): string[] {
  const [first = '', ...rest] = reply.split('\n');
  // What EHLO offers is not the question.
  const shown =
    command.startsWith('EHLO') && first.startsWith('250')
      ? [`250 ${first.slice(4)}`]
      : [first, ...rest];
  return [
    command,
    ...judgements.flatMap((judgement) => formatJudgement(judgement, unasked, service)),
    ...log.filter((line) => !QUIET.test(line)).map((line) => `  log: ${line}`),
    ...(reply === ''
      ? ['  (the connection is closed without a reply)']
      : shown.map((line) => `  ${line}`)),
  ];
}

/** Lines of the log that say nothing of the decision. */
const QUIET = /^(?:(?:connect|disconnect) from |\.\.\.: client=)/;

function formatJudgement(
  { lists, decision }: Judgement,
  unasked: ReadonlySet<Reason>,
  service: string,
): string[] {
  const { trail } = decision;
  const width = Math.max(
    ...trail.map(({ restriction, depth }) => restriction.length + 2 * depth),
    0,
  );
  const lines: string[] = [];
  for (const { parameter, rules } of lists) {
    const steps = trail.filter((step) => step.parameter === parameter);
    const place = parameter.replace(/^option -o: /, `${service}: -o `);
    lines.push(`  ${place}${place.includes(': ') ? '' : ' (default)'}`);
    for (const step of steps) lines.push(formatStep(step, width, unasked));
    const reached = steps.filter(({ depth }) => depth === 0).length;
    const skipped = rules.slice(reached).map(({ name }) => name);
    if (skipped.length > 0) lines.push(`    not reached: ${skipped.join(', ')}`);
  }
  if (decision.deferIfPermit !== undefined) {
    lines.push(`  what is permitted would be put off: ${decision.deferIfPermit}`);
  }
  return lines;
}

function formatStep(
  { restriction, verdict, because, reply, depth }: Step,
  width: number,
  unasked: ReadonlySet<Reason>,
): string {
  const isUnasked = because !== undefined && unasked.has(because);
  const word = isUnasked ? '?' : WORDS[verdict];
  const why = because === undefined ? '' : reasonWithPlace(because);
  const said = reply === undefined ? '' : `${why === '' ? '' : ': '}${reply || 'hang up'}`;
  const name = `${'  '.repeat(depth)}${restriction}`.padEnd(width);
  return `    ${name}  ${word.padEnd(15)}  ${why}${said}`.trimEnd();
}

const WORDS: Readonly<Record<Step['verdict'], string>> = {
  permit: 'permit',
  dunno: 'dunno',
  reject: 'reject',
  see: 'see',
  'defer-if-permit': 'defer_if_permit',
  'defer-if-reject': 'defer_if_reject',
};

function reasonWithPlace(reason: Reason): string {
  if (typeof reason !== 'object') return reasonText(reason);
  const { table, key, value } = reason;
  return `${placeOf(table, key)}: ${key} ${value}`;
}

function formatRoutes({
  routes,
  sender,
  copies,
  contentFilter,
  transports,
  question,
}: Explained): string[] {
  const lines: string[] = [];
  if (sender.address !== question.sender || sender.steps.length > 0) {
    lines.push(`sender ${question.sender}`, ...sender.steps.map(formatRouteStep), '');
  }
  for (const { recipient, route } of routes) {
    lines.push(`recipient ${recipient}`, ...route.steps.map(formatRouteStep));
    for (const way of route.ways)
      lines.push(...formatWay(way, route.ways.length > 1 || route.steps.length > 0, transports));
    lines.push('');
  }
  if (copies.length > 0) lines.push('copies', ...copies.map(formatRouteStep), '');
  if (contentFilter !== '') {
    lines.push(
      `content_filter: all mail goes to ${contentFilter} first, and comes back from there`,
      '',
    );
  }
  return lines;
}

function formatRouteStep({ by, result }: RouteStep): string {
  return `  ${by}: ${result}`;
}

function formatWay(way: Way, isNamed: boolean, transports: ReadonlyMap<string, string>): string[] {
  const { recipient, addressClass, transport, nexthop, steps, trouble } = way;
  const named = isNamed ? [`  ${recipient}`] : [];
  if (trouble !== undefined) return [...named, `  trouble    ${trouble}`];
  const place = transports.get(transport);
  const where = place === undefined ? 'master.cf has no such service' : place;
  return [
    ...named,
    `  class      ${addressClass}`,
    ...steps.map(
      (step, at) => `  ${(at === 0 ? 'because' : '').padEnd(9)}  ${step.by}: ${step.result}`,
    ),
    `  transport  ${transport} (${where})`,
    `  nexthop    ${nexthop}`,
  ];
}

function verdict(explained: Explained): string {
  const refusal = deciding(explained);
  if (refusal !== undefined) {
    const { command, reply } = refusal;
    const last = reply.split('\n').at(-1) || 'the connection is closed without a reply';
    const word = REPLY_REFUSED.test(reply) ? 'refused' : 'put off';
    const doubt = mightPermit(refusal, explained)
      ? ', unless who was not asked (?) permits it'
      : '';
    return `verdict: ${word} at ${command}: ${last}${doubt}`;
  }
  return isUncertain(explained)
    ? 'verdict: accepted, unless one of those that were not asked (?) says otherwise'
    : 'verdict: accepted';
}
