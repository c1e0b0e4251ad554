/**
 * qmgr(8): the queue manager. Takes messages from incoming and deferred into the active queue, asks
 * trivial-rewrite where their recipients go, hands them to the delivery agents, and defers, returns
 * or removes what comes back.
 *
 * Called by cleanup, postqueue, flush and master, with trigger bytes on public/qmgr. Calls rewrite,
 * the delivery agents, and bounce, defer and trace. It is the only one that moves messages between
 * queues; the disk holds the truth, and whenever qmgr ends a new one goes on from there.
 * Postfix: qmgr(8).
 *
 * - feeder.ts: which file is next; open-message.ts: reading it
 * - routing.ts, assignment.ts: where each recipient goes
 * - transport.ts, destination.ts, schedule.ts, concurrency.ts: whose turn it is
 * - recipient-pool.ts, refill.ts: how many recipients are in memory
 * - delivery-round.ts, dispatch.ts: one delivery; completion.ts: the end of a message
 */
import { BounceClient } from '../../lib/clients/bounce.ts';
import { AgentConnection } from '../../lib/clients/delivery.ts';
import { clientOptions } from '../../lib/clients/options.ts';
import { RewriteClient } from '../../lib/clients/rewrite.ts';
import { splitList } from '../../lib/config/configuration.ts';
import { openReporters } from '../../lib/delivery/reporters.ts';
import { bootId } from '../../lib/os/boot.ts';
import { recoverJournals } from '../../lib/queue/journal-recovery.ts';
import { hashingOf } from '../../lib/queue/queue-path.ts';
import { scanQueue } from '../../lib/queue/scan.ts';
import type { TriggerService } from '../../lib/server/trigger-server.ts';
import { ActiveQueue, type Core } from './core.ts';
import { deliverEntry, readOn, transportFailed } from './delivery-round.ts';
import { Feeder } from './feeder.ts';
import { moveAside } from './open-message.ts';
import { QueueMoves } from './queue-moves.ts';
import type { RoutingRules } from './routing.ts';
import {
  QMGR_PARAMETERS,
  type QmgrContext,
  type QmgrParameter,
  type Settings,
} from './settings.ts';
import { Transports } from './transports.ts';

/** The whole manager: what it works with, and what feeds it. */
interface Manager {
  readonly core: Core;
  readonly feeder: Feeder;
  /** Which start of the machine this is. */
  readonly boot: string | undefined;
}

export const qmgr: TriggerService<QmgrParameter, Manager> = {
  name: 'qmgr',
  parameters: QMGR_PARAMETERS,
  requires: 'solitary',
  idleLimit: false,
  useLimit: false,
  // They only remove files, which wait for the same journal: more would wake each other up.
  ioThreads: 1,
  watchdogSeconds: 1000,

  open: openManager,

  async start({ log }, { core, feeder, boot }) {
    const warn = (text: string, queueId?: string) => log.warn({ kind: 'text', queueId, text });
    recoverJournals({ boot, hashing: core.hashing, warn });
    await recover(core);
    feeder.start();
  },

  trigger(bytes, _context, { core, feeder }) {
    const letters = bytes.toString('latin1');
    const request = { ignoreTimes: letters.includes('A'), flush: letters.includes('F') };
    const incoming = /[WI]/.test(letters);
    const deferred = letters.includes('D');
    if (request.flush && (incoming || deferred)) core.transports.reviveAll();
    if (incoming) feeder.scan('incoming', request);
    if (deferred) feeder.scan('deferred', request);
  },

  stop(_context, { core, feeder }) {
    feeder.stop();
    core.transports.close();
  },
};

function openManager(context: QmgrContext): Manager {
  const { configuration, parameters: settings, log } = context;
  const hashing = hashingOf(settings);
  const timeoutMs = settings.daemon_timeout * 1000;
  const options = { ...clientOptions(configuration, log), stopping: context.stopping };
  const ipc = { ...options, timeoutMs: settings.qmgr_ipc_timeout * 1000 };
  const core: Core = {
    settings,
    log,
    hashing,
    moves: new QueueMoves(hashing),
    rewrite: new RewriteClient({ ...ipc, socketPath: `private/${settings.rewrite_service_name}` }),
    reporters: {
      ...openReporters(configuration, log),
      bounce: new BounceClient({
        ...options,
        names: {
          bounce: settings.bounce_service_name,
          defer: settings.defer_service_name,
          trace: settings.trace_service_name,
        },
      }),
    },
    rules: rulesOf(settings),
    active: new ActiveQueue(() => feeder.kick()),
    transports: new Transports(configuration, (name) => ({
      connect: () => core.connect(name),
      deliver: (entry, destination, connection) =>
        deliverEntry(core, entry, destination, connection),
      failed: (transport, error) => transportFailed(core, transport, error),
      roomFor: ({ message }) => readOn(core, message),
    })),
    connect: (transport) => AgentConnection.connect(`private/${transport}`, timeoutMs),
  };
  const feeder = new Feeder(core, context.flow, (error) => {
    throw error;
  });
  return { core, feeder, boot: bootId() };
}

function rulesOf(settings: Settings): RoutingRules {
  return {
    errorService: settings.error_service_name,
    // Postfix has no parameter for it.
    retryService: 'retry',
    deferTransports: new Set(splitList(settings.defer_transports)),
    doubleBounceSender: settings.double_bounce_sender,
    defaultFilterNexthop: settings.default_filter_nexthop,
    myhostname: settings.myhostname,
    probesMax: settings.address_verify_pending_request_limit,
  };
}

/** Messages moved at start before others get a turn. */
const MOVES_MAX = 200;

/** Begins again with what an earlier qmgr left: nobody but us has anything in active. */
async function recover(core: Core): Promise<void> {
  const { moves } = core;
  let count = 0;
  for (const id of scanQueue('active')) {
    moves.setDue('active', id, 0);
    moveAside(core, id, () => moves.move('active', 'incoming', id));
    count += 1;
    if (count % MOVES_MAX === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
