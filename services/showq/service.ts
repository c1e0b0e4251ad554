import { type AuthorizedUsers, openAuthorizedUsers } from '../../lib/config/authorized-users.ts';
import { announcement } from '../../lib/ipc/attributes.ts';
import { IpcConnection } from '../../lib/ipc/connection.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import { descriptorOf } from '../../lib/os/descriptors.ts';
import { peerCredentials } from '../../lib/os/sockets.ts';
import { hashingOf } from '../../lib/queue/queue-path.ts';
import type { ConnectionService } from '../../lib/server/connection-server.ts';
import { openTable } from '../../lib/table/table.ts';
import { formatMessage, TERMINATOR } from './format.ts';
import { listMessages } from './listing.ts';

/**
 * showq(8): lists the mail queue.
 *
 * Called by postqueue and mailq, as any user; stand-alone (`-S`) by root's postqueue when the mail
 * system is down. Calls nobody; reads queue files and defer logs, without a lock. The client says
 * nothing: it gets the list as soon as it has connected. Postfix: showq(8).
 */
export const showq: ConnectionService<
  'duplicate_filter_limit' | 'empty_address_recipient' | 'hash_queue_depth' | 'hash_queue_names',
  AuthorizedUsers
> = {
  name: 'showq',
  parameters: [
    'duplicate_filter_limit',
    'empty_address_recipient',
    'hash_queue_depth',
    'hash_queue_names',
  ],

  open: ({ configuration, tables }) =>
    openAuthorizedUsers(configuration, 'authorized_mailq_users', (name) => openTable(name, tables)),

  async serve(socket, { parameters, configuration, log, serviceName, standalone }, users) {
    const uid = standalone ? undefined : peerCredentials(descriptorOf(socket)).uid;
    const refused = uid === undefined ? undefined : await users.refused(uid);
    if (refused !== undefined) {
      log.warn(`user ${refused} may not view the mail queue: authorized_mailq_users`);
      return;
    }
    const connection = new IpcConnection(socket, configuration.get('ipc_timeout') * 1000, {
      peer: uid === undefined ? 'stdout' : `${serviceName} socket (client uid ${uid})`,
    });
    await connection.send(announcement(PROTOCOLS.showq));
    const hashing = hashingOf(parameters);
    for (const message of listMessages(hashing, parameters.duplicate_filter_limit, log)) {
      for (const part of formatMessage(message, parameters.empty_address_recipient)) {
        await connection.send(part);
      }
      if (socket.destroyed) return;
    }
    await connection.send(TERMINATOR);
  },
};
