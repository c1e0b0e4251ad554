/**
 * Aliases that lead back to themselves: looked for before anybody gets a copy, so that the mail can
 * wait for whoever mends the table, and nobody gets it again with each attempt.
 */
import { entryLine, placeAt } from '../../lib/table/place.ts';
import { decideAlias, type FoundAlias } from './alias-lookup.ts';
import { type Branch, nextBranch, withUnmatched } from './branch.ts';
import { parseDestinations } from './destination.ts';
import { resolveAddress } from './resolve.ts';
import type { Run } from './run.ts';

/** A larger source is not searched for a line: the process has others to serve. */
const SEARCHED_BYTES_MAX = 4 * 1024 * 1024;

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

/** A longer way is told without its middle. */
const NAMES_TOLD = 10;

/** `loop1: loop1 -> loop2 -> loop1; see hash:/etc/aliases, line 7`: the line that leads back. */
export function describeAliasLoop(loop: AliasLoop): string {
  const names = loop.map(({ name }) => name);
  const middle = Math.max(0, names.length - NAMES_TOLD);
  if (middle > 0) names.splice(NAMES_TOLD / 2, middle, '...');
  const last = loop.at(-2);
  const place = last === undefined ? '' : `; see ${placeOf(last)}`;
  return `${names[0]}: ${names.join(' -> ')}${place}`;
}

function placeOf({ name, table }: FoundAlias): string {
  const line = table.lineOf?.(name) ?? entryLine(table.name, name, SEARCHED_BYTES_MAX);
  return placeAt(table.name, line);
}
