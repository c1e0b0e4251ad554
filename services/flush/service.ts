import { trigger } from '../../lib/clients/trigger.ts';
import { type AuthorizedUsers, openAuthorizedUsers } from '../../lib/config/authorized-users.ts';
import { openMatchList } from '../../lib/config/match-list.ts';
import { announcement } from '../../lib/ipc/attributes.ts';
import { IpcConnection } from '../../lib/ipc/connection.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import { str } from '../../lib/ipc/fields.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import { descriptorOf } from '../../lib/os/descriptors.ts';
import { peerCredentials } from '../../lib/os/sockets.ts';
import { hashingOf } from '../../lib/queue/queue-path.ts';
import type { ConnectionService } from '../../lib/server/connection-server.ts';
import { openTable } from '../../lib/table/table.ts';
import { type FlushRequest, type FlushSettings, runRequest, STATUS } from './requests.ts';

/** `W` and its NUL; a request is longer. */
const TRIGGER_BYTES_MAX = 2;

interface State {
  readonly settings: FlushSettings;
  readonly users: AuthorizedUsers;
}

/**
 * flush(8): remembers which deferred messages wait for which site, and lets them all be tried when
 * somebody asks (ETRN, `postqueue -s`).
 *
 * Called by delivery agents that defer (`add`), by smtpd and postqueue (`send_site`, `send_file`),
 * and by master's wake-up. Triggers qmgr; writes `flush/<site>`, moves deferred mail to incoming.
 * Postfix: flush(8).
 */
export const flush: ConnectionService<
  | 'fast_flush_purge_time'
  | 'fast_flush_refresh_time'
  | 'hash_queue_depth'
  | 'hash_queue_names'
  | 'queue_service_name'
  | 'trigger_timeout',
  State
> = {
  name: 'flush',
  parameters: [
    'fast_flush_purge_time',
    'fast_flush_refresh_time',
    'hash_queue_depth',
    'hash_queue_names',
    'queue_service_name',
    'trigger_timeout',
  ],
  requires: 'unlimited',

  open({ configuration, parameters, log, tables }) {
    const open = (name: string) => openTable(name, tables);
    const settings: FlushSettings = {
      domains: openMatchList(configuration, 'fast_flush_domains', open),
      hashing: hashingOf(parameters),
      triggerQueueManager: (bytes) =>
        trigger(`public/${parameters.queue_service_name}`, bytes, parameters.trigger_timeout),
      refreshSeconds: parameters.fast_flush_refresh_time,
      purgeSeconds: parameters.fast_flush_purge_time,
      log,
    };
    return { settings, users: openAuthorizedUsers(configuration, 'authorized_flush_users', open) };
  },

  async serve(socket, { configuration, serviceName }, { settings, users }) {
    const { uid } = peerCredentials(descriptorOf(socket));
    const connection = new IpcConnection(socket, configuration.get('ipc_timeout') * 1000, {
      peer: `${serviceName} socket (client uid ${uid})`,
    });
    await connection.send(announcement(PROTOCOLS.flush));
    const bytes = await connection.receiveBytes();
    if (bytes === undefined) return;
    if (bytes.length <= TRIGGER_BYTES_MAX) {
      await connection.send([['status', STATUS.ok]]);
      await runRequest({ name: 'rfrsh' }, settings);
      return;
    }
    connection.unread(bytes);
    await answer(connection, settings, {
      refused: await users.refused(uid),
      isDaemon: uid === 0 || uid === process.geteuid?.(),
    });
  },
};

/** What the caller may do. */
interface Caller {
  /** The name of a user who may not flush anything. */
  readonly refused: string | undefined;
  readonly isDaemon: boolean;
}

async function answer(
  connection: IpcConnection,
  settings: FlushSettings,
  caller: Caller,
): Promise<void> {
  const request = await receiveRequest(connection, settings);
  if (request === undefined) {
    await connection.send([['status', STATUS.bad]]);
    return;
  }
  if (request.name === 'unknown') return;
  const forDaemons = !request.name.startsWith('send_');
  if (caller.refused !== undefined || (forDaemons && !caller.isDaemon)) {
    settings.log.warn(`${caller.refused ?? 'a user'} may not flush mail: authorized_flush_users`);
    await connection.send([['status', STATUS.deny]]);
    return;
  }
  // These look at every site's log: nobody waits for that.
  if (request.name === 'rfrsh' || request.name === 'purge') {
    await connection.send([['status', STATUS.ok]]);
    await runRequest(request, settings);
    return;
  }
  await connection.send([['status', await runRequest(request, settings)]]);
}

const NAME = { request: str };

/** A request; `unknown` for a name that is none; undefined when its attributes are wrong. */
async function receiveRequest(
  connection: IpcConnection,
  { log }: FlushSettings,
): Promise<FlushRequest | { name: 'unknown' } | undefined> {
  try {
    const name = (await connection.receive(NAME, { more: true }))?.request ?? '';
    switch (name) {
      case 'add': {
        const rest = await connection.receive({ site: str, queueId: str.named('queue_id') });
        return rest && { name, ...rest };
      }
      case 'send_site': {
        const rest = await connection.receive({ site: str });
        return rest && { name, ...rest };
      }
      case 'send_file': {
        const rest = await connection.receive({ queueId: str.named('queue_id') });
        return rest && { name, ...rest };
      }
      case 'rfrsh':
      case 'purge':
        return { name };
      default:
        return { name: 'unknown' };
    }
  } catch (error) {
    if (!(error instanceof IpcError)) throw error;
    log.warn(error.message);
    return undefined;
  }
}
