/**
 * proxymap(8): opens tables for others, who could not (they are in a changed root directory) or
 * should not (a database has only so many connections).
 *
 * Called by daemons and commands that use `proxy:` tables, over connections that stay; as
 * `proxywrite` it also changes tables. Calls nobody but the servers of tables. It opens only what
 * proxy_read_maps or proxy_write_maps names, as mail_owner. Postfix: proxymap(8).
 */
import type { IpcConnection } from '../../lib/ipc/connection.ts';
import { int, str } from '../../lib/ipc/fields.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { Log } from '../../lib/log/log.ts';
import type { MultiService } from '../../lib/server/multi-server.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { usesUtf8 } from '../../lib/table/fold.ts';
import { contextOf, PROXY_FLAG, PROXY_STATUS, SEQUENCE } from '../../lib/table/proxy-protocol.ts';
import { type TableContext, TableError } from '../../lib/table/table.ts';
import { parseApproved, withoutProxy } from './approved-tables.ts';
import { SharedTable } from './shared-table.ts';

const PARAMETERS = [
  'proxy_read_maps',
  'proxy_write_maps',
  'proxymap_service_name',
  'proxywrite_service_name',
] as const;

type Parameter = (typeof PARAMETERS)[number];

/** What the process keeps. */
interface State {
  readonly writable: boolean;
  readonly approved: ReadonlySet<string>;
  readonly context: TableContext;
  readonly log: Log;
  /** Open tables, by name and flags; they are never more than there are approved ones. */
  readonly tables: Map<string, SharedTable>;
}

/** Where one client is in going through a table. */
interface Client {
  readonly connection: IpcConnection;
  sequence:
    | { readonly table: string; readonly rest: Iterator<readonly [string, string]> }
    | undefined;
}

const REQUEST = { request: str };
const TABLE = {
  table: str,
  /** Postfix 3.11 says here how the table is to be opened, and wants flags in each reply. */
  instance: int.named('instance_flags').orMissing(),
  flags: int.orMissing(),
};
const LOOKUP = { ...TABLE, key: str };
const UPDATE = { ...TABLE, key: str, value: str };
const SEQUENCE_OF = { ...TABLE, function: int };

/** The bits that tell one opened table from another. */
const INSTANCE_FLAGS =
  PROXY_FLAG.FOLD_FIX | PROXY_FLAG.NO_REGSUB | PROXY_FLAG.SRC_RHS_IS_FILE | PROXY_FLAG.UTF8_REQUEST;

export const proxymap: MultiService<Parameter, State> = {
  name: 'proxymap',
  parameters: PARAMETERS,
  protocol: PROTOCOLS.proxymap,
  open,
  async serve(connection, { log }, state) {
    const client: Client = { connection, sequence: undefined };
    for (;;) {
      const request = await connection.receive(REQUEST, { more: true });
      if (request === undefined) return;
      if (!(await answer(request.request, client, state))) {
        log.warn(`unrecognized request: "${request.request.slice(0, 100)}", ignored`);
        await connection.send([['status', PROXY_STATUS.BAD]]);
        return;
      }
    }
  },
};

function open(context: ServiceContext<Parameter>): State {
  const { parameters, serviceName, configuration, log, tables } = context;
  const { proxymap_service_name: reader, proxywrite_service_name: writer } = parameters;
  const writable = serviceName === writer;
  if (!writable && serviceName !== reader) {
    throw new FatalError(`service name must be one of ${writer} or ${reader}`);
  }
  const list = writable ? parameters.proxy_write_maps : parameters.proxy_read_maps;
  return {
    writable,
    approved: parseApproved(list),
    // A table inside another that asks for us would wait for ourselves: it is opened here.
    context: { configuration, log, proxied: true, apart: tables.apart },
    log,
    tables: new Map(),
  };
}

/** @returns false when there is no such request */
async function answer(request: string, client: Client, state: State): Promise<boolean> {
  switch (request) {
    case 'open':
      return answerOpen(client, state);
    case 'lookup':
      return answerLookup(client, state);
    case 'update':
      return answerUpdate(client, state);
    case 'delete':
      return answerDelete(client, state);
    case 'sequence':
      return answerSequence(client, state);
    default:
      return false;
  }
}

/** What every request says about its table. */
interface Wanted {
  readonly table: string;
  readonly instance?: number | undefined;
  readonly flags?: number | undefined;
}

async function answerOpen({ connection }: Client, state: State): Promise<boolean> {
  const wanted = await connection.receive(TABLE);
  if (wanted === undefined) return true;
  const table = tableOf(wanted, state);
  await connection.send([
    ['status', typeof table === 'number' ? table : PROXY_STATUS.OK],
    ['flags', typeof table === 'number' ? 0 : flagsFor(wanted, table, state)],
  ]);
  return true;
}

async function answerLookup({ connection }: Client, state: State): Promise<boolean> {
  const wanted = await connection.receive(LOOKUP);
  if (wanted === undefined) return true;
  const table = tableOf(wanted, state);
  let value: string | undefined;
  const status = await statusOf(table, state, async (opened) => {
    value = await opened.lookup(wanted.key);
    return value !== undefined;
  });
  await connection.send([
    ['status', status],
    ...newerFlags(wanted, table, state),
    ['value', value ?? ''],
  ]);
  return true;
}

async function answerUpdate({ connection }: Client, state: State): Promise<boolean> {
  const wanted = await connection.receive(UPDATE);
  if (wanted === undefined) return true;
  const table = writableTable(wanted, state);
  const { key, value } = wanted;
  const status = await statusOf(table, state, (opened) => opened.change({ key, value }));
  await connection.send([['status', status], ...newerFlags(wanted, table, state)]);
  return true;
}

async function answerDelete({ connection }: Client, state: State): Promise<boolean> {
  const wanted = await connection.receive(LOOKUP);
  if (wanted === undefined) return true;
  const table = writableTable(wanted, state);
  const status = await statusOf(table, state, (opened) => opened.change({ key: wanted.key }));
  await connection.send([['status', status], ...newerFlags(wanted, table, state)]);
  return true;
}

async function answerSequence(client: Client, state: State): Promise<boolean> {
  const wanted = await client.connection.receive(SEQUENCE_OF);
  if (wanted === undefined) return true;
  const table = isSequence(wanted.function) ? tableOf(wanted, state) : PROXY_STATUS.BAD;
  let entry: readonly [string, string] | undefined;
  const status = await statusOf(table, state, async (opened) => {
    entry = nextEntry(client, wanted.table, wanted.function, opened);
    return entry !== undefined;
  });
  await client.connection.send([
    ['status', status],
    ...newerFlags(wanted, table, state),
    ['key', entry?.[0] ?? ''],
    ['value', entry?.[1] ?? ''],
  ]);
  return true;
}

function isSequence(number: number): boolean {
  return number === SEQUENCE.FIRST || number === SEQUENCE.NEXT;
}

function nextEntry(
  client: Client,
  name: string,
  which: number,
  table: SharedTable,
): readonly [string, string] | undefined {
  if (which === SEQUENCE.FIRST || client.sequence?.table !== name) {
    client.sequence = { table: name, rest: table.entries()[Symbol.iterator]() };
  }
  const { done, value } = client.sequence.rest.next();
  return done === true ? undefined : value;
}

/** Runs one request; its trouble is logged, and for the client to try again later. */
async function statusOf(
  table: SharedTable | number,
  { log }: State,
  action: (table: SharedTable) => Promise<boolean>,
): Promise<number> {
  if (typeof table === 'number') return table;
  try {
    return (await action(table)) ? PROXY_STATUS.OK : PROXY_STATUS.NOKEY;
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    log.warn(error.message);
    return PROXY_STATUS.RETRY;
  }
}

/** @returns the status to answer with, when the table is not approved or no table; logged */
function tableOf(wanted: Wanted, state: State): SharedTable | number {
  const name = withoutProxy(wanted.table);
  const { approved, log, writable, tables, context } = state;
  if (!name.includes(':')) {
    log.warn(`bad table name: "${name.slice(0, 200)}": expecting "type:name"`);
    return PROXY_STATUS.BAD;
  }
  if (!approved.has(name)) {
    const shown = name.slice(0, 200);
    log.warn(`request for unapproved table: "${shown}"`);
    log.warn(
      `to approve this table for ${writable ? 'read-write' : 'read-only'} access, list proxy:${shown} in main.cf:proxy_${writable ? 'write' : 'read'}_maps`,
    );
    return PROXY_STATUS.DENY;
  }
  const flags = (wanted.instance ?? wanted.flags ?? 0) & INSTANCE_FLAGS;
  const key = `${flags} ${name}`;
  const known = tables.get(key);
  if (known !== undefined) return known;
  const table = new SharedTable({ name, context: contextOf(flags, context), log, writable });
  tables.set(key, table);
  return table;
}

function writableTable(wanted: Wanted, state: State): SharedTable | number {
  if (state.writable) return tableOf(wanted, state);
  state.log.warn(`refusing ${wanted.table.slice(0, 200)} update request on non-proxywrite service`);
  return PROXY_STATUS.DENY;
}

/** What the table is like: what was asked for, and whether its keys are patterns. */
function flagsFor(wanted: Wanted, table: SharedTable, { context }: State): number {
  const asked = wanted.instance ?? wanted.flags ?? 0;
  const active = usesUtf8(context) ? PROXY_FLAG.UTF8_ACTIVE | PROXY_FLAG.UTF8_REQUEST : 0;
  return asked | active | (table.pattern ? PROXY_FLAG.PATTERN : PROXY_FLAG.FIXED);
}

function newerFlags(
  wanted: Wanted,
  table: SharedTable | number,
  state: State,
): readonly (readonly [string, number])[] {
  if (wanted.instance === undefined) return [];
  return [['flags', typeof table === 'number' ? 0 : flagsFor(wanted, table, state)]];
}
