/**
 * Lookup tables: `type:name` in main.cf, and what answers. Start here.
 *
 * Tables are opened before a daemon drops its privileges and changes its root directory; from then
 * on they need no path. Postfix: DATABASE_README.
 */
import { FatalError } from '../log/fatal.ts';
import { splitItems } from './braces.ts';
import { openCidr } from './cidr-table.ts';
import { openPipe, openRandom, openUnion } from './composite-tables.ts';
import {
  type Table,
  type TableContext,
  TableError,
  TableOpenError,
  type TableOpener,
} from './definition.ts';
import { isIndexedType, openIndexed } from './indexed-table.ts';
import { openInline, openInternal, openTextHash } from './memory-table.ts';
import { openPcre, openRegexp } from './pattern-table.ts';
import { openProxy } from './proxy-table.ts';
import { openEnviron, openFail, openNis, openStatic, openUnix } from './small-tables.ts';
import { openSocketMap } from './socketmap-table.ts';
import { openSqlite } from './sqlite-table.ts';
import { TableList } from './table-list.ts';
import { openTcp } from './tcp-table.ts';

export type { Answer, Table, TableContext, TableLog } from './definition.ts';
export { TableError, TableOpenError } from './definition.ts';
export { type Found, TableList } from './table-list.ts';

const OPENERS: Readonly<Record<string, TableOpener>> = {
  cidr: openCidr,
  environ: openEnviron,
  fail: openFail,
  inline: openInline,
  internal: openInternal,
  nis: openNis,
  pcre: openPcre,
  pipemap: (name, context) => openPipe(name, context, openTableOrThrow),
  proxy: openProxied,
  randmap: openRandom,
  regexp: openRegexp,
  socketmap: openSocketMap,
  sqlite: (name, context) => openSqlite(name, context, openTableOrThrow),
  static: openStatic,
  tcp: openTcp,
  texthash: openTextHash,
  unionmap: (name, context) => openUnion(name, context, openTableOrThrow),
  unix: openUnix,
};

const NOT_BUILT: ReadonlySet<string> = new Set(
  'ldap memcache mongodb mysql netinfo nisplus pgsql'.split(' '),
);

/** Parts of addresses are not looked up in these. */
const PATTERN_TYPES: ReadonlySet<string> = new Set(
  'cidr fail pcre randmap regexp socketmap tcp'.split(' '),
);

/** What is asked of proxymap(8), unless the answer must not come from another process. */
function openProxied(name: string, context: TableContext): Table {
  if (context.sensitive === true || context.proxied === true)
    return openTableOrThrow(name, context);
  splitTableName(name);
  return openProxy(name, isPatternName(name), context);
}

/** Whether a table would be one of patterns, by its name alone. */
function isPatternName(text: string): boolean {
  const { type, name } = splitTableName(text);
  if (type === 'proxy') return isPatternName(name);
  if (type !== 'unionmap' && type !== 'pipemap') return PATTERN_TYPES.has(type);
  const members = splitItems(name.slice(1, -1));
  return members.every((member) => member.includes(':') && isPatternName(member));
}

/** Every table type that openTable knows, for `postconf -m`. */
export function tableTypes(): string[] {
  return [...Object.keys(OPENERS), 'btree', 'cdb', 'dbm', 'hash', 'lmdb', 'sdbm'].sort();
}

/**
 * Opens `type:name`.
 *
 * @throws {TableOpenError} when it cannot be opened: a command stops then
 * @throws {FatalError} when the text is not of that form
 */
export function openTableOrThrow(text: string, context: TableContext): Table {
  const { type, name } = splitTableName(text);
  if (isIndexedType(type)) return openIndexed(type, name, context);
  const open = Object.hasOwn(OPENERS, type) ? OPENERS[type] : undefined;
  if (open !== undefined) return open(name, context);
  const reason = `unsupported dictionary type: ${type}`;
  throw new TableOpenError(NOT_BUILT.has(type) ? `${reason} (not built into Posthaste)` : reason);
}

/** The same for a daemon: a table that may stall it for long answers in threads. */
export function openApart(text: string, context: TableContext): Table {
  const table = openTableOrThrow(text, context);
  const isSlow = table.mayStallForLong === true && context.apart !== undefined;
  return isSlow ? context.apart(table, context) : table;
}

/**
 * Opens `type:name` for a daemon, which goes on when it can't be: what needs the table is deferred,
 * and each such lookup logs why.
 *
 * @throws {FatalError} when the text is not of that form
 */
export function openTable(text: string, context: TableContext): Table {
  try {
    const table = openApart(text, context);
    context.opened?.(table);
    return table;
  } catch (error) {
    if (!(error instanceof TableOpenError)) throw error;
    context.log?.error(error.message);
    return unavailableTable(text, error, context);
  }
}

/** Opens the tables that `parameter` lists, in their order. @throws {FatalError} as openTable */
export function openTables(
  text: string,
  context: TableContext & { readonly parameter: string },
): TableList {
  const tables = splitItems(text).map((name) => openTable(name, context));
  return new TableList(context.parameter, tables, context.log);
}

/** Takes `type:name` apart. @throws {FatalError} */
export function splitTableName(text: string): { type: string; name: string } {
  const colon = text.indexOf(':');
  if (colon <= 0 || colon === text.length - 1) {
    throw new FatalError(`open dictionary: expecting "type:name" form instead of "${text}"`);
  }
  return { type: text.slice(0, colon), name: text.slice(colon + 1) };
}

function unavailableTable(name: string, reason: TableOpenError, context: TableContext): Table {
  const text = `${name} is unavailable. ${reason.message}`;
  return {
    name,
    pattern: false,
    lookup() {
      context.log?.warn(text);
      throw new TableError(text, { cause: reason });
    },
    // Not "changed": a daemon that left for it would be back with the same trouble at once.
    changed: () => false,
    close() {},
  };
}
