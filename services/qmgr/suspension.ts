/** Deferring mail that no agent is asked to deliver. */

import { NEVER } from '../../lib/delivery/delivery-times.ts';
import type { Outcome } from '../../lib/delivery/outcome.ts';
import { Recording } from '../../lib/delivery/recording.ts';
import { DELIVERY_FLAG } from '../../lib/delivery/request.ts';
import type { DsnDetail } from '../../lib/dsn/detail.ts';
import { NO_DETAIL } from '../../lib/dsn/detail.ts';
import type { Status } from '../../lib/dsn/status.ts';
import type { QueuedRecipient } from '../../lib/queue/envelope.ts';
import { QueueFile } from '../../lib/queue/queue-file.ts';
import { retryDestination } from './assignment.ts';
import type { Core } from './core.ts';
import type { Entry, Message } from './message.ts';

/**
 * Gives entries to the `retry` agent, which defers them for the given reason.
 *
 * @returns those that it can't take, because it can't be had itself
 */
export function suspend(
  core: Core,
  entries: readonly Entry[],
  detail: DsnDetail,
): readonly Entry[] {
  if (entries.length === 0) return entries;
  const destination = retryDestination(core, detail);
  if ('status' in destination) return entries;
  const { transport } = destination;
  for (const entry of entries) transport.requeue(entry, destination);
  transport.pump();
  return [];
}

/** Defers recipients ourselves. */
export async function deferDirectly(
  core: Core,
  message: Message,
  recipients: readonly QueuedRecipient[],
  { status, reason }: DsnDetail,
): Promise<void> {
  message.deferred = true;
  const temporary = `4${status.slice(1)}` as Status<4>;
  const outcome: Outcome = { kind: 'deferred', status: temporary, text: reason };
  await record(core, message, recipients, outcome);
}

/** Drops mail to the double bounce address: nobody is left to tell. */
export async function discard(
  core: Core,
  message: Message,
  recipients: readonly QueuedRecipient[],
): Promise<void> {
  const text = 'undeliverable postmaster notification discarded';
  const kept = await record(core, message, recipients, { kind: 'sent', status: '2.0.0', text });
  if (kept > 0) message.deferred = true;
}

/** @returns how many recipients stay in the queue */
async function record(
  core: Core,
  message: Message,
  recipients: readonly QueuedRecipient[],
  outcome: Outcome,
): Promise<number> {
  const { envelope } = message;
  const times = { arrival: envelope.arrivalTime, active: message.activeAt };
  const unused = { handoff: NEVER, connected: NEVER, delivered: NEVER, reuseCount: 0 };
  const request = {
    ...message.request,
    flags: envelope.traceFlags | DELIVERY_FLAG.SUCCESS | DELIVERY_FLAG.BOUNCE,
    nexthop: '',
    times: { ...times, ...unused },
    recipients,
  };
  using file = QueueFile.open(
    { queue: 'active', id: message.id, hashing: core.hashing },
    { write: true },
  );
  const recording = new Recording(request, file, core.reporters);
  for (const recipient of recipients) await recording.record(recipient, outcome);
  await recording.settled();
  return recording.kept;
}

/** What is wrong with a transport whose agents can't be had. */
export const UNAVAILABLE: DsnDetail = {
  ...NO_DETAIL,
  status: '4.3.0',
  reason: 'mail transport unavailable',
};
