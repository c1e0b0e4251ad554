/**
 * cleanup(8): the only writer of new queue files.
 *
 * Called by smtpd, pickup, local and bounce with one message at a time per connection. Calls the
 * rewrite service for addresses, bounce for mail that it returns itself, and wakes qmgr. Writes
 * incoming/ and hold/. Postfix: cleanup(8).
 */
import type { Socket } from 'node:net';
import { BounceClient } from '../../lib/clients/bounce.ts';
import { clientOptions } from '../../lib/clients/options.ts';
import { RewriteClient } from '../../lib/clients/rewrite.ts';
import { TriggerClient } from '../../lib/clients/trigger.ts';
import { VerifyClient } from '../../lib/clients/verify.ts';
import { IpcConnection } from '../../lib/ipc/connection.ts';
import { openCheckThreads } from '../../lib/message/check-answers.ts';
import { zoneAbbreviation } from '../../lib/message/time-zone.ts';
import type { ConnectionService } from '../../lib/server/connection-server.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { Rewriting } from './rewriting.ts';
import { type SessionOptions, serveClient } from './session.ts';
import { CLEANUP_PARAMETERS, openSettings } from './settings.ts';

type CleanupParameter = (typeof CLEANUP_PARAMETERS)[number];
type Context = ServiceContext<CleanupParameter>;

export const cleanup: ConnectionService<CleanupParameter, SessionOptions> = {
  name: 'cleanup',
  parameters: CLEANUP_PARAMETERS,
  requires: 'unlimited',
  // Messages that wait for the disk at the same time share one write of its journal.
  ioThreads: 16,

  async open(context) {
    const { parameters, configuration, log, flow, stopping, slots, tables } = context;
    const settings = openSettings(parameters, tables);
    const checkThreads = await openCheckThreads(Object.values(settings.checks), {
      slots,
      configuration,
      lost: () => context.retire(),
    });
    const clients = clientOptions(configuration, log);
    // Read while we can: a chroot may have no zone file.
    zoneAbbreviation(0);
    const rewrite = new RewriteClient({
      socketPath: `private/${parameters.rewrite_service_name}`,
      ...clients,
    });
    const names = {
      bounce: parameters.bounce_service_name,
      defer: parameters.defer_service_name,
      trace: parameters.trace_service_name,
    };
    return {
      settings,
      rewriting: new Rewriting(settings, rewrite),
      bounce: new BounceClient({ names, ...clients }),
      verify: new VerifyClient({
        socketPath: `private/${parameters.address_verify_service_name}`,
        ...clients,
      }),
      qmgr: new TriggerClient(`public/${parameters.queue_service_name}`),
      log,
      checkThreads,
      flow,
      stopping,
    };
  },

  serve,
};

async function serve(socket: Socket, context: Context, options: SessionOptions): Promise<void> {
  const connection = new IpcConnection(socket, context.parameters.ipc_timeout * 1000, {
    peer: `${context.serviceName} socket`,
  });
  try {
    await serveClient(connection, options);
  } finally {
    connection.close();
  }
}
