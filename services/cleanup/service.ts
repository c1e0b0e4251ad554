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
import type { Log } from '../../lib/log/log.ts';
import { openCheckThreads } from '../../lib/message/check-answers.ts';
import { zoneAbbreviation } from '../../lib/message/time-zone.ts';
import { bootId } from '../../lib/os/boot.ts';
import { openFilesMax } from '../../lib/os/limits.ts';
import { Journal } from '../../lib/queue/journal.ts';
import { recoverJournals } from '../../lib/queue/journal-recovery.ts';
import type { ConnectionService } from '../../lib/server/connection-server.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { openMilters } from './milters.ts';
import { Rewriting } from './rewriting.ts';
import { type SessionOptions, serveClient } from './session.ts';
import { CLEANUP_PARAMETERS, openSettings, type Settings } from './settings.ts';

type CleanupParameter = (typeof CLEANUP_PARAMETERS)[number];
type Context = ServiceContext<CleanupParameter>;

/** Queue files that the journal may hold open; no more than half of all that we may open. */
const HELD_MAX = 2000;
const HELD_MAX_UNKNOWN = 250;

interface Cleanup extends SessionOptions {
  /** Which start of the machine this is. */
  readonly boot: string | undefined;
}

export const cleanup: ConnectionService<CleanupParameter, Cleanup> = {
  name: 'cleanup',
  parameters: CLEANUP_PARAMETERS,
  requires: 'unlimited',
  // Messages that wait for the disk at the same time share one write of its journal.
  ioThreads: 16,

  async open(context) {
    const { parameters, configuration, log, flow, stopping, slots, tables } = context;
    const settings = openSettings(parameters, tables);
    const checkThreads = await openCheckThreads(checkLists(settings), {
      slots,
      configuration,
      lost: () => context.retire(),
    });
    const clients = clientOptions(configuration, log);
    // Read while we can: a chroot may have no zone file, and no /proc.
    zoneAbbreviation(0);
    const boot = bootId();
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
      qmgr: new TriggerClient(
        `public/${parameters.queue_service_name}`,
        parameters.trigger_timeout,
      ),
      log,
      milters: openMilters(parameters, log),
      checkThreads,
      flow,
      boot,
      journal: parameters.queue_journal_enable ? openJournal(boot, log) : undefined,
      stopping,
    };
  },

  start({ log }, { boot, settings }) {
    const warn = (text: string, queueId?: string) => log.warn({ kind: 'text', queueId, text });
    recoverJournals({ boot, hashing: settings.hashing, warn });
  },

  stop: (_, { journal }) => journal?.close(),

  serve,
};

function openJournal(boot: string | undefined, log: Log): Journal | undefined {
  if (boot === undefined) return undefined;
  const filesMax = openFilesMax();
  const heldMax =
    filesMax === undefined ? HELD_MAX_UNKNOWN : Math.min(HELD_MAX, Math.floor(filesMax / 2));
  return new Journal({ boot, heldMax, warn: (text) => log.warn(text) });
}

function checkLists({ checks, milterHeaderChecks }: Settings) {
  return [...Object.values(checks), milterHeaderChecks];
}

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
