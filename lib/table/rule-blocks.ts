/** Rules in their order, with `if` ... `endif` around some: what regexp, pcre and cidr tables share. */

/** A rule as a table type has parsed it; `matches` decides, `answer` gives the result. */
export type Rule<Query> =
  | {
      readonly kind: 'result';
      readonly line: number;
      readonly answer: (query: Query) => string | undefined;
    }
  | { readonly kind: 'if'; readonly line: number; readonly matches: (query: Query) => boolean }
  | { readonly kind: 'endif'; readonly line: number };

/** What the rules say of a text, and which of them does. */
export interface Finder<Query> {
  readonly find: (query: Query) => string | undefined;
  readonly lineOf: (query: Query) => number | undefined;
}

/** A block's `if` knows where it ends; without an end it has none of the rules after it. */
type Step<Query> = Rule<Query> & { end?: number };

/**
 * Joins `if` and `endif`. An `if` that is never closed is reported, and ends the search when it
 * does not match.
 */
export function arrange<Query>(
  rules: readonly Rule<Query>[],
  unclosed: (line: number) => void,
): Finder<Query> {
  const steps: Step<Query>[] = rules.map((rule) => ({ ...rule }));
  const open: Step<Query>[] = [];
  steps.forEach((step, index) => {
    if (step.kind === 'if') open.push(step);
    if (step.kind !== 'endif') return;
    const start = open.pop();
    if (start !== undefined) start.end = index;
  });
  for (const step of open.reverse()) if (step.kind === 'if') unclosed(step.line);
  return {
    find: (query) => run(steps, query),
    lineOf(query) {
      let line: number | undefined;
      run(steps, query, (at) => {
        line = at;
      });
      return line;
    },
  };
}

function run<Query>(
  steps: readonly Step<Query>[],
  query: Query,
  found?: (line: number) => void,
): string | undefined {
  for (let at = 0; at < steps.length; at += 1) {
    const step = steps[at];
    if (step === undefined || step.kind === 'endif') continue;
    if (step.kind === 'result') {
      const answer = step.answer(query);
      if (answer === undefined) continue;
      found?.(step.line);
      return answer;
    } else if (!step.matches(query)) {
      if (step.end === undefined) return undefined;
      at = step.end;
    }
  }
  return undefined;
}
