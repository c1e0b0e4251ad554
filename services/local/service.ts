import { BounceClient } from '../../lib/clients/bounce.ts';
import { CleanupClient } from '../../lib/clients/cleanup.ts';
import { clientOptions } from '../../lib/clients/options.ts';
import { RewriteClient } from '../../lib/clients/rewrite.ts';
import type { DeliveryAgent } from '../../lib/delivery/agent.ts';
import { FileWork } from '../../lib/delivery/file-work.ts';
import type { Recipient } from '../../lib/delivery/recipient.ts';
import type { DeliveryRequest } from '../../lib/delivery/request.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { Biff } from './biff.ts';
import { firstBranch } from './branch.ts';
import { readDeliveredTo } from './delivered-to.ts';
import { DuplicateFilter } from './duplicate-filter.ts';
import { cancelForwardings, finishForwardings } from './forwarding.ts';
import { deliverBranch } from './recipient.ts';
import { type Local, type LocalDelivery, Run } from './run.ts';
import { PARAMETERS, type Parameter, readSettings } from './settings.ts';
import { LocalTables, type OpenedTables } from './tables.ts';

/**
 * local(8): delivers mail to the users of this machine, as they and the administrator want it.
 *
 * Called by qmgr, one delivery request at a time. Asks trivial-rewrite where the addresses of
 * aliases lead, gives cleanup the mail for other addresses, and hands mailboxes over to other agents
 * where main.cf says so. Reads alias_maps and the passwd database; reads .forward files and writes
 * mailboxes as their owners, in threads; starts commands as their owners. Postfix: local(8).
 *
 * A recipient is a branch that branches (branch.ts): alias.ts, then user.ts (.forward, mailbox.ts),
 * then unknown.ts; what a list names goes through expand.ts, and back to recipient.ts.
 */
export const local: DeliveryAgent<Parameter, Local> = {
  name: 'local',
  parameters: PARAMETERS,
  privileged: true,
  open,
  renew: (_, state) => state.tables.renew(),
  stop(_, state) {
    state.biff.close();
    return state.work.close();
  },
  async deliver(request, delivery) {
    const loops = readDeliveredTo(delivery.message, request.contentOffset);
    await delivery.state.tables.using(async (tables) => {
      for (const recipient of request.recipients) {
        await deliverRecipient(request, delivery, recipient, { loops, tables });
      }
    });
    return [];
  },
};

/** As many threads as make sense for file work; what waits for a lock holds none. */
const THREADS_MAX = 4;

function open(context: ServiceContext<Parameter>): Local {
  const { parameters, configuration, log, slots } = context;
  const options = clientOptions(configuration, log);
  const { cleanup_service_name: cleanup, rewrite_service_name: rewrite } = parameters;
  return {
    settings: readSettings(parameters),
    tables: new LocalTables(parameters, context.tables),
    cleanup: new CleanupClient({ ...options, socketPath: `public/${cleanup}` }),
    rewrite: new RewriteClient({ ...options, socketPath: `private/${rewrite}` }),
    bounce: new BounceClient(options),
    biff: new Biff((text) => log.warn(text)),
    work: new FileWork('local-delivery', {
      threads: Math.min(slots, THREADS_MAX),
      patience: {
        attempts: parameters.deliver_lock_attempts,
        delaySeconds: parameters.deliver_lock_delay,
      },
    }),
  };
}

/** A recipient is done when all that it stands for is; else all of it is tried again. */
async function deliverRecipient(
  request: DeliveryRequest,
  delivery: LocalDelivery,
  recipient: Recipient,
  { loops, tables }: { loops: ReadonlySet<string>; tables: OpenedTables },
): Promise<void> {
  const { settings } = delivery.state;
  const duplicates = new DuplicateFilter(settings.parameters.duplicate_filter_limit);
  const run = new Run({
    local: delivery.state,
    request,
    delivery,
    duplicates,
    loops,
    tables,
    deliver: deliverBranch,
  });
  const branch = firstBranch(recipient, request.sender, settings.parameters);
  try {
    let progress = await deliverBranch(run, branch);
    if (progress === 'done') progress = await finishForwardings(run, branch);
    // An empty list, or one that leads nowhere but to itself: say so rather than nothing.
    if (progress === 'done' && run.outcomes === 0) {
      progress = await run.sent(branch, 'expanded to an empty list');
    }
    delivery.conclude(recipient, progress === 'done');
  } finally {
    cancelForwardings(run);
    for (const step of run.trail)
      delivery.log.debug({ kind: 'text', queueId: request.queueId, text: step });
  }
}
