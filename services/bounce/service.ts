/**
 * bounce(8): keeps the logs that say why recipients failed (`bounce/`), wait (`defer/`) or were
 * reached (`trace/`), and makes the notices that tell senders and postmaster.
 *
 * Runs as bounce, defer and trace: the service's name says which logs. Called by delivery agents
 * (append) and qmgr (notices). Calls cleanup. Postfix: bounce(8), bounce(5).
 */
import type { Socket } from 'node:net';
import { CleanupClient } from '../../lib/clients/cleanup.ts';
import { clientOptions } from '../../lib/clients/options.ts';
import { announcement } from '../../lib/ipc/attributes.ts';
import { IpcConnection } from '../../lib/ipc/connection.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import { keepingReply } from '../../lib/ipc/keep.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { LogQueue } from '../../lib/queue/logs.ts';
import { hashingOf } from '../../lib/queue/queue-path.ts';
import type { ConnectionService } from '../../lib/server/connection-server.ts';
import { Appends } from './appends.ts';
import { Notifier } from './notifier.ts';
import { RequestError, receiveRequest } from './request.ts';
import { BOUNCE_PARAMETERS, type BounceContext, readSettings } from './settings.ts';

/** What the process knows once it is open. */
interface BounceState {
  readonly queue: LogQueue;
  readonly notifier: Notifier;
}

type BounceParameter = (typeof BOUNCE_PARAMETERS)[number];

const DONE = 0;
const FAILED = -1;

export const bounce: ConnectionService<BounceParameter, BounceState> = {
  name: 'bounce',
  parameters: BOUNCE_PARAMETERS,
  // Who waits for it may be waited for by it: with a limit all could wait for each other.
  requires: 'unlimited',

  open(context) {
    const { parameters } = context;
    const queue = logQueueOf(context);
    const notifier = new Notifier({
      queue,
      log: context.log,
      hashing: hashingOf(parameters),
      settings: readSettings(context),
      appends: new Appends(parameters.backwards_bounce_logfile_compatibility),
      cleanup: new CleanupClient({
        socketPath: `public/${parameters.cleanup_service_name}`,
        ...clientOptions(context.configuration, context.log),
      }),
    });
    return { queue, notifier };
  },

  serve: (socket, context, { notifier }) => serveClient(socket, context, notifier),
};

function logQueueOf({ serviceName }: BounceContext): LogQueue {
  if (serviceName === 'bounce' || serviceName === 'defer' || serviceName === 'trace') {
    return serviceName;
  }
  throw new FatalError(
    `service name "${serviceName}": bounce keeps the logs of a service named bounce, defer or trace`,
  );
}

/** One request after the other, for as long as the client stays. */
async function serveClient(
  socket: Socket,
  context: BounceContext,
  notifier: Notifier,
): Promise<void> {
  const { log, stopping, parameters } = context;
  let idle = true;
  const client = new IpcConnection(socket, parameters.ipc_timeout * 1000, {
    onRequest: () => {
      idle = false;
    },
  });
  const leave = () => {
    if (idle) client.close();
  };
  stopping.addEventListener('abort', leave);
  try {
    await client.send(announcement(PROTOCOLS.bounce));
    for (;;) {
      idle = !client.hasInput;
      const request = await receiveRequest(client, parameters.smtputf8_enable);
      if (request === undefined) return;
      const status = (await notifier.handle(request)) ? DONE : FAILED;
      if (stopping.aborted) {
        await client.send([['status', status]]);
        return;
      }
      await client.send(keepingReply([['status', status]]));
    }
  } catch (error) {
    if (!(error instanceof RequestError || error instanceof IpcError)) throw error;
    log.warn(error.message);
    await client.send([['status', FAILED]]);
  } finally {
    stopping.removeEventListener('abort', leave);
  }
}
