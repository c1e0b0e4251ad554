/**
 * Aliases that lead back to themselves: looked for before anybody gets a copy, so that the mail can
 * wait for whoever mends the table, and nobody gets it again with each attempt.
 */
import { describeLoop } from '../../lib/table/loop.ts';
import { decideAlias, type FoundAlias } from './alias-lookup.ts';
import { type Branch, nextBranch, withUnmatched } from './branch.ts';
import { parseDestinations } from './destination.ts';
import { resolveAddress } from './resolve.ts';
import type { Run } from './run.ts';

/**
 * The aliases on the way to one that was met before, which is the first and the last of them; or so
 * many on one way that it is taken for a loop.
 */
export type AliasLoop = readonly FoundAlias[];

/**
 * Follows all that an alias leads to, through other aliases; lists in files are not opened.
 *
 * @throws {TableError} when a table is in trouble
 */
export function findAliasLoop(run: Run, branch: Branch): Promise<AliasLoop | undefined> {
  return follow({ run, seen: new Set() }, branch, []);
}

/** One search; what was seen once leads to no loop, or it would have been found then. */
interface Search {
  readonly run: Run;
  readonly seen: Set<string>;
}

async function follow(
  search: Search,
  branch: Branch,
  way: readonly FoundAlias[],
): Promise<AliasLoop | undefined> {
  const { settings } = search.run.local;
  const propagates = settings.propagate.has('alias');
  const decision = await decideAlias(search.run.tables.aliases, branch, propagates);
  if (decision.kind === 'loop') return way;
  if (decision.kind === 'none') return undefined;
  const { alias, unmatched } = decision;
  const met = way.findIndex(({ name }) => name === alias.name);
  if (met >= 0) return [...way.slice(met), alias];
  const key = `${alias.name}\0${unmatched?.delimiter}${unmatched?.extension}`;
  if (search.seen.has(key)) return undefined;
  search.seen.add(key);
  const named: Branch = { ...branch, expandedFrom: alias.name, expansion: 'alias', unmatched };
  for (const destination of parseDestinations(alias.value)) {
    if (destination.kind !== 'address') continue;
    const next = await aliasAt(search, named, destination);
    const loop = next && (await follow(search, next, [...way, alias]));
    if (loop !== undefined) return loop;
  }
  return undefined;
}

/** Where an address leads, when that may be an alias: others need not be resolved to know. */
async function aliasAt(
  { run }: Search,
  named: Branch,
  { internal, external }: { readonly internal: string; readonly external: string },
): Promise<Branch | undefined> {
  const guess = nextBranch(
    named,
    withUnmatched(internal, named.unmatched),
    run.settings.parameters,
  );
  const { kind } = await decideAlias(run.tables.aliases, guess, false);
  if (kind === 'none') return undefined;
  const resolution = await resolveAddress(run, named, external);
  return resolution.kind === 'here' ? resolution.next : undefined;
}

/** `one: one -> two -> one; see hash:/etc/aliases, line 7`. */
export function describeAliasLoop(loop: AliasLoop): string {
  const steps = loop.slice(0, -1).map(({ name, table }, at, { length }) => ({
    name,
    table: table.name,
    key: name,
    line: at === length - 1 ? table.lineOf?.(name) : undefined,
  }));
  const end = loop.at(-1)?.name ?? '';
  return `${loop[0]?.name}: ${describeLoop(steps, end)}`;
}
