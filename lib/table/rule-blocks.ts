/** Rules in their order, with `if` ... `endif` around some: what regexp, pcre and cidr tables share. */

/** A rule as a table type has parsed it; `matches` decides, `answer` gives the result. */
export type Rule<Query> =
  | { readonly kind: 'result'; readonly answer: (query: Query) => string | undefined }
  | { readonly kind: 'if'; readonly line: number; readonly matches: (query: Query) => boolean }
  | { readonly kind: 'endif'; readonly line: number };

/** A block's `if` knows where it ends; without an end it has none of the rules after it. */
type Step<Query> = Rule<Query> & { end?: number };

/**
 * Joins `if` and `endif`. An `if` that is never closed is reported, and ends the search when it
 * does not match.
 */
export function arrange<Query>(
  rules: readonly Rule<Query>[],
  unclosed: (line: number) => void,
): (query: Query) => string | undefined {
  const steps: Step<Query>[] = rules.map((rule) => ({ ...rule }));
  const open: Step<Query>[] = [];
  steps.forEach((step, index) => {
    if (step.kind === 'if') open.push(step);
    if (step.kind !== 'endif') return;
    const start = open.pop();
    if (start !== undefined) start.end = index;
  });
  for (const step of open.reverse()) if (step.kind === 'if') unclosed(step.line);
  return (query) => run(steps, query);
}

function run<Query>(steps: readonly Step<Query>[], query: Query): string | undefined {
  for (let at = 0; at < steps.length; at += 1) {
    const step = steps[at];
    if (step === undefined || step.kind === 'endif') continue;
    if (step.kind === 'result') {
      const answer = step.answer(query);
      if (answer !== undefined) return answer;
    } else if (!step.matches(query)) {
      if (step.end === undefined) return undefined;
      at = step.end;
    }
  }
  return undefined;
}
