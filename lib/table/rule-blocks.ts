/** Rules in their order, with `if` ... `endif` around some: what regexp, pcre and cidr tables share. */

/** A rule as a table type has parsed it; `matches` decides, `answer` gives the result. */
export type Rule<Query> =
  | { readonly kind: 'result'; readonly line: number; answer(query: Query): string | undefined }
  | { readonly kind: 'if'; readonly line: number; readonly matches: (query: Query) => boolean }
  | { readonly kind: 'endif'; readonly line: number };

/** What the rules say of a text, and which of them does. */
export interface Finder<Query> {
  readonly find: (query: Query) => string | undefined;
  readonly lineOf: (query: Query) => number | undefined;
}

/**
 * Joins `if` and `endif`. An `if` that is never closed is reported, and ends the search when it
 * does not match.
 */
export function arrange<Query>(
  rules: readonly Rule<Query>[],
  unclosed: (line: number) => void,
): Finder<Query> {
  /** Where each `if` has its `endif`; one without has none of the rules after it. */
  const ends = new Map<number, number>();
  const open: number[] = [];
  rules.forEach(({ kind }, index) => {
    if (kind === 'if') open.push(index);
    if (kind !== 'endif') return;
    const start = open.pop();
    if (start !== undefined) ends.set(start, index);
  });
  for (const index of open.reverse()) {
    const rule = rules[index];
    if (rule?.kind === 'if') unclosed(rule.line);
  }
  return {
    find: (query) => run(rules, ends, query),
    lineOf(query) {
      let line: number | undefined;
      run(rules, ends, query, (at) => {
        line = at;
      });
      return line;
    },
  };
}

function run<Query>(
  rules: readonly Rule<Query>[],
  ends: ReadonlyMap<number, number>,
  query: Query,
  found?: (line: number) => void,
): string | undefined {
  for (let at = 0; at < rules.length; at += 1) {
    const rule = rules[at];
    if (rule === undefined || rule.kind === 'endif') continue;
    if (rule.kind === 'result') {
      const answer = rule.answer(query);
      if (answer === undefined) continue;
      found?.(rule.line);
      return answer;
    }
    if (rule.matches(query)) continue;
    const end = ends.get(at);
    if (end === undefined) return undefined;
    at = end;
  }
  return undefined;
}
