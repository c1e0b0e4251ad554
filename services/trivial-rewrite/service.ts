/**
 * trivial-rewrite(8): rewrites addresses to standard form, and resolves them to a transport,
 * nexthop and recipient.
 *
 * Called by smtpd, cleanup, qmgr, local and bounce, over connections that stay. Calls nobody; reads
 * tables, which it opens before it drops its privileges. When one of them has changed it says so in
 * each reply, and leaves: the next process sees the new one. Postfix: trivial-rewrite(8).
 */
import { RESOLVE as FLAG } from '../../lib/clients/rewrite.ts';
import { OLD_DEFAULT } from '../../lib/config/compatibility.ts';
import type { IpcConnection } from '../../lib/ipc/connection.ts';
import { str } from '../../lib/ipc/fields.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import type { Log } from '../../lib/log/log.ts';
import type { MultiService } from '../../lib/server/multi-server.ts';
import type { TableWatch } from '../../lib/server/table-watch.ts';
import { type RouteRules, resolveAddress } from './resolve.ts';
import { rewriteAddress } from './rewrite.ts';
import { openSettings, PARAMETERS, type Settings } from './settings.ts';

type Names = (typeof PARAMETERS)[number];

/** What the process keeps: its settings, and an eye on their tables. */
interface State {
  readonly settings: Settings;
  readonly tables: TableWatch;
}

const REQUEST = { request: str };
const REWRITE = { rule: str, address: str };
const RESOLVE = { sender: str, address: str };

export const trivialRewrite: MultiService<Names, State> = {
  name: 'trivial-rewrite',
  parameters: PARAMETERS,
  protocol: PROTOCOLS.rewrite,
  open: ({ tables }) => ({ settings: openSettings(tables), tables }),
  async serve(connection, { log }, state) {
    for (;;) {
      const request = await connection.receive(REQUEST, { more: true });
      if (request === undefined) return;
      if (!(await answer(request.request, connection, state, log))) return;
    }
  },
};

/** @returns false when the client makes no sense: the connection is closed without an answer */
async function answer(
  request: string,
  connection: IpcConnection,
  state: State,
  log: Log,
): Promise<boolean> {
  switch (request) {
    case 'rewrite':
      return answerRewrite(connection, state, log);
    case 'resolve':
      return answerResolve(connection, state, state.settings.mail);
    case 'verify':
      return answerResolve(connection, state, state.settings.probes);
    default:
      log.warn(`unrecognized request: "${request}", ignored`);
      return false;
  }
}

async function answerRewrite(
  connection: IpcConnection,
  { settings, tables }: State,
  log: Log,
): Promise<boolean> {
  const wanted = await connection.receive(REWRITE);
  if (wanted === undefined) return false;
  if (wanted.rule !== 'local' && wanted.rule !== 'remote') {
    log.warn(`unknown context: ${wanted.rule}`);
    return false;
  }
  const { address, trail } = rewriteAddress(wanted.address, settings[wanted.rule]);
  if (settings.appendsByOldDefault && trail.includes('append_dot_mydomain')) {
    await noteCompletion(address, settings, log);
  }
  await connection.send([
    ['flags', serverFlags(tables)],
    ['address', address],
  ]);
  return true;
}

/** append_dot_mydomain has an old default: says what a newer one would not do. */
async function noteCompletion(address: string, settings: Settings, log: Log): Promise<void> {
  const [, host = ''] = /@([^@\s.]+)[^@]*$/.exec(address) ?? [];
  const rewrite = `"${host}" to "${host}.${settings.local.domain}"`;
  const text = `${OLD_DEFAULT} append_dot_mydomain=yes to rewrite ${rewrite}`;
  if (host.toLowerCase() !== 'localhost') log.info(text);
  else if (!(await isOurs(`x@${host}`, settings))) {
    log.info(`${text}; please add "localhost" to mydestination or other address class`);
  }
}

async function isOurs(address: string, { resolve, mail }: Settings): Promise<boolean> {
  const { flags } = await resolveAddress('', address, resolve, mail);
  return (flags & (FLAG.LOCAL | FLAG.ALIAS | FLAG.VIRTUAL | FLAG.RELAY)) !== 0;
}

async function answerResolve(
  connection: IpcConnection,
  { settings, tables }: State,
  routes: RouteRules,
): Promise<boolean> {
  const wanted = await connection.receive(RESOLVE);
  if (wanted === undefined) return false;
  const found = await resolveAddress(wanted.sender, wanted.address, settings.resolve, routes);
  await connection.send([
    ['flags', serverFlags(tables)],
    ['transport', found.transport],
    ['nexthop', found.nexthop],
    ['recipient', found.recipient],
    ['flags', found.flags],
  ]);
  return true;
}

/** The first attribute of each answer. 1: a table has changed; connect anew after this answer. */
function serverFlags(tables: TableWatch): 0 | 1 {
  tables.lookNow();
  return tables.isOutdated ? 1 : 0;
}
