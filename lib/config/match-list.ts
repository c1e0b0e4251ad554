/** Lists of patterns: mynetworks, mydestination, authorized_mailq_users ... First match decides. */
import { readFileSync } from 'node:fs';
import { type Network, networkContains, parseNetwork } from './cidr.ts';
import type { Configuration, ParameterName } from './configuration.ts';
import { splitList } from './list.ts';
import { parseLogicalLines } from './logical-lines.ts';
import { openErrorText } from './source.ts';

/** Files may name files; deeper than this they name themselves. */
const FILE_NESTING_MAX = 10;

/** What a match list needs of a lookup table. */
export interface MatchTable {
  lookup(key: string): string | undefined | Promise<string | undefined>;
  /** It matches patterns: only complete names are looked up. */
  readonly pattern: boolean;
}

export interface MatchListOptions {
  /** The parameter; it names the list in messages. */
  readonly name: string;
  /** Opens `hash:/etc/postfix/x`. */
  readonly openTable: (name: string) => MatchTable;
  /** `example.com` matches its subdomains too; else `.example.com` does. */
  readonly parentDomains?: boolean;
}

export interface MatchAnswer {
  readonly matched: boolean;
  /** The item that decided; undefined when none did. */
  readonly pattern: string | undefined;
}

/** The list can't answer now; callers treat it as a temporary error. */
export class MatchListError extends Error {}

/** There is a promise only when a table has to be waited for. */
type Eventual<T> = T | Promise<T>;

export interface MatchList {
  /** A user or another name, the whole of it; case does not matter. @throws {MatchListError} */
  matchText(text: string): Eventual<MatchAnswer>;
  /** A domain, by its name and its parents'. @throws {MatchListError} */
  matchName(name: string): Eventual<MatchAnswer>;
  /** @throws {MatchListError} */
  matchAddress(address: string): Eventual<MatchAnswer>;
  /** A client: each item is tried with the name, then with the address. @throws {MatchListError} */
  matchClient(name: string, address: string): Eventual<MatchAnswer>;
}

interface Item {
  readonly text: string;
  readonly negated: boolean;
  readonly name: string;
  readonly table: MatchTable | undefined;
  readonly network: Network | undefined;
  /** The item is unusable, and with it the list, once it is reached. */
  readonly trouble: string | undefined;
}

/**
 * Reads a list and the files it names, and opens its tables.
 *
 * @throws {MatchListError} when an item is no pattern at all
 */
export function parseMatchList(text: string, options: MatchListOptions): MatchList {
  const items = expandItems(text, options, false, 0);
  const { name } = options;
  const decide = (test: (item: Item) => Eventual<boolean>): Eventual<MatchAnswer> => {
    for (const [at, item] of items.entries()) {
      if (item.trouble !== undefined) throw new MatchListError(`${name}: ${item.trouble}`);
      const matches = test(item);
      if (matches instanceof Promise) return decideLater({ name, test }, items.slice(at), matches);
      if (matches === true) return answerOf(item);
    }
    return NO_MATCH;
  };
  const parents = options.parentDomains ?? false;
  return {
    matchText: (whole) => decide((item) => textMatches(item, whole.toLowerCase())),
    matchName: (name) => decide((item) => nameMatches(item, name.toLowerCase(), parents)),
    matchAddress: (address) => decide((item) => addressMatches(item, address.toLowerCase())),
    matchClient: (name, address) =>
      decide((item) =>
        either(nameMatches(item, name.toLowerCase(), parents), () =>
          addressMatches(item, address.toLowerCase()),
        ),
      ),
  };
}

const answerOf = (item: Item): MatchAnswer => ({ matched: !item.negated, pattern: item.text });

/** Goes on with the items that are left; whether the first matches is being found out. */
async function decideLater(
  { name, test }: { name: string; test: (item: Item) => Eventual<boolean> },
  left: readonly Item[],
  asked: Promise<boolean>,
): Promise<MatchAnswer> {
  let pending: Promise<boolean> | undefined = asked;
  for (const item of left) {
    if (item.trouble !== undefined) throw new MatchListError(`${name}: ${item.trouble}`);
    try {
      if (await (pending ?? test(item))) return answerOf(item);
    } catch (cause) {
      const what = `${name}: ${item.name || item.text}`;
      throw new MatchListError(`${what}: table lookup problem`, { cause });
    }
    pending = undefined;
  }
  return NO_MATCH;
}

/** The list that a parameter holds. */
export function openMatchList(
  configuration: Configuration,
  parameter: ParameterName,
  openTable: (name: string) => MatchTable,
): MatchList {
  const name = parameter;
  const parentDomains = parentDomainMatches(configuration, parameter);
  return parseMatchList(configuration.text(parameter), { name, openTable, parentDomains });
}

/** Whether parent_domain_matches_subdomains names this parameter. */
export function parentDomainMatches(configuration: Configuration, parameter: string): boolean {
  return splitList(configuration.text('parent_domain_matches_subdomains')).includes(parameter);
}

const NO_MATCH: MatchAnswer = { matched: false, pattern: undefined };

function expandItems(
  text: string,
  options: MatchListOptions,
  negatedBefore: boolean,
  depth: number,
): Item[] {
  return splitList(text).flatMap((item) => {
    const marks = /^!*/.exec(item)?.[0].length ?? 0;
    const pattern = item.slice(marks);
    const negated = negatedBefore !== (marks % 2 === 1);
    if (pattern === '') throw new MatchListError(`${options.name}: no pattern after '!'`);
    if (!pattern.startsWith('/')) return [parseItem(item, pattern, negated, options)];
    const found = readPatterns(pattern, depth);
    if (typeof found !== 'string') return [plainItem(item, negated, { trouble: found.trouble })];
    return expandItems(found, options, negated, depth + 1);
  });
}

function readPatterns(file: string, depth: number): string | { trouble: string } {
  if (depth >= FILE_NESTING_MAX) return { trouble: `${file}: files name each other` };
  try {
    const lines = parseLogicalLines(readFileSync(file, 'utf8'));
    return lines.map((line) => line.text).join('\n');
  } catch (error) {
    return { trouble: `open file ${file}: ${openErrorText(error)}: table lookup problem` };
  }
}

function parseItem(
  text: string,
  pattern: string,
  negated: boolean,
  options: MatchListOptions,
): Item {
  const name = pattern.toLowerCase();
  if (/^\[[^\]]*\](?:\/\d+)?$/.test(pattern) || /^[0-9.]+\/[^:]*$/.test(pattern)) {
    const network = parseNetwork(pattern);
    if (typeof network === 'string') return plainItem(text, negated, { trouble: network });
    return plainItem(text, negated, { network, name });
  }
  if (!pattern.includes(':')) return plainItem(text, negated, { name });
  if (!/^[A-Za-z][A-Za-z0-9_-]*:./s.test(pattern)) {
    const wanted = `expecting "type:name" form instead of "${pattern}"`;
    throw new MatchListError(`open dictionary: ${wanted} (in ${options.name})`);
  }
  return plainItem(text, negated, { table: options.openTable(pattern) });
}

function plainItem(
  text: string,
  negated: boolean,
  rest: { name?: string; table?: MatchTable; network?: Network; trouble?: string },
): Item {
  const { name = '', table, network, trouble } = rest;
  return { text, negated, name, table, network, trouble };
}

function either(verdict: Eventual<boolean>, otherwise: () => Eventual<boolean>): Eventual<boolean> {
  if (typeof verdict === 'boolean') return verdict || otherwise();
  return verdict.then((matches) => matches || otherwise());
}

function textMatches(item: Item, text: string): Eventual<boolean> {
  if (item.table !== undefined) return isInTable(item.table, text);
  return text !== '' && item.name === text;
}

function nameMatches(item: Item, name: string, parents: boolean): Eventual<boolean> {
  if (item.table !== undefined) return nameInTable(item.table, name, parents);
  if (name === item.name) return name !== '';
  if (parents) return item.name !== '' && name.endsWith(`.${item.name}`);
  return item.name.startsWith('.') && name.endsWith(item.name);
}

async function isInTable(table: MatchTable, key: string): Promise<boolean> {
  return (await table.lookup(key)) !== undefined;
}

async function nameInTable(table: MatchTable, name: string, parents: boolean): Promise<boolean> {
  if (name === '') return false;
  if (await isInTable(table, name)) return true;
  if (table.pattern) return false;
  for (let dot = name.indexOf('.', 1); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const key = name.slice(parents ? dot + 1 : dot);
    if (key !== '' && (await isInTable(table, key))) return true;
  }
  return false;
}

function addressMatches(item: Item, address: string): Eventual<boolean> {
  if (address === '') return false;
  if (item.table !== undefined) return isInTable(item.table, address);
  if (item.network !== undefined) return networkContains(item.network, address);
  return item.name === address;
}
