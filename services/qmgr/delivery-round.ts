/** A message's way through the active queue: its recipients are assigned, delivered, and counted. */

import type { AgentConnection } from '../../lib/clients/delivery.ts';
import { after, now } from '../../lib/clock/clock.ts';
import { DELIVERY_FLAG } from '../../lib/delivery/request.ts';
import type { DsnDetail } from '../../lib/dsn/detail.ts';
import { errorText } from '../../lib/os/error.ts';
import type { QueuedRecipient } from '../../lib/queue/envelope.ts';
import { assign } from './assignment.ts';
import { complete } from './completion.ts';
import { warnOfCongestion } from './congestion.ts';
import type { Core } from './core.ts';
import type { Destination } from './destination.ts';
import { deliver, troubleOf } from './dispatch.ts';
import type { Entry, Message } from './message.ts';
import type { Opened } from './open-message.ts';
import { readMore, refillWaitMs } from './refill.ts';
import { deferDirectly, discard, suspend, UNAVAILABLE } from './suspension.ts';
import type { Transport } from './transport.ts';

/** Takes a message in: from here on it ends with `complete`. Waits until its recipients are in line. */
export async function begin(core: Core, { message, recipients }: Opened): Promise<void> {
  core.active.add(message);
  core.active.recipients += message.recipients;
  if (isProbe(message)) core.active.probes += 1;
  await take(core, message, recipients);
}

/** Assigns recipients that have just been read. */
async function take(
  core: Core,
  message: Message,
  recipients: readonly QueuedRecipient[],
): Promise<void> {
  message.unfinished += 1;
  message.isReading = true;
  try {
    const { discarded, stranded } = await assign(core, message, recipients);
    if (discarded.length > 0) await recorded(core, message, discarded, discard);
    for (const { recipient, detail } of stranded) {
      await recorded(core, message, [recipient], (...args) => deferDirectly(...args, detail));
    }
  } finally {
    message.isReading = false;
    finished(core, message);
  }
}

/** Records recipients that no agent gets, and counts them. */
async function recorded(
  core: Core,
  message: Message,
  recipients: readonly QueuedRecipient[],
  action: (core: Core, message: Message, recipients: readonly QueuedRecipient[]) => Promise<void>,
): Promise<void> {
  message.unfinished += 1;
  try {
    await action(core, message, recipients);
  } catch (error) {
    message.deferred = true;
    core.log.warn({ kind: 'text', queueId: message.id, text: errorText(error) });
  }
  forget(core, message, recipients.length);
  finished(core, message);
}

/** Delivers an entry and counts it. @returns a connection to use again */
export async function deliverEntry(
  core: Core,
  entry: Entry,
  destination: Destination,
  connection: AgentConnection,
): Promise<AgentConnection | undefined> {
  warnOfCongestion(core, destination);
  const answer = await deliver(core, entry, destination, connection);
  const { reply } = answer;
  destination.busy -= 1;
  destination.lastDoneAt = Math.floor(now() / 1000);
  if (reply === undefined || reply.status !== 0) entry.message.deferred = true;
  const trouble = reply === undefined ? undefined : troubleOf(reply);
  if (trouble !== undefined) {
    if (destination.failed()) {
      const left = destination.die(trouble, core.settings.minimal_backoff_time);
      putOff(core, left, trouble);
    }
  } else if (reply !== undefined) {
    destination.succeeded();
  }
  destination.transport.schedule.changed(destination);
  entry.job.recipients -= entry.recipients.length;
  forget(core, entry.message, entry.recipients.length);
  finished(core, entry.message);
  return answer.connection;
}

/** No agent of a transport can be had: all its mail is put off, and none goes there for a while. */
export function transportFailed(core: Core, transport: Transport, error: Error): void {
  core.log.warn(error.message.replace(/^connect to /, 'connect to transport '));
  if (transport.dead !== undefined) return;
  const left = transport.die(UNAVAILABLE, core.settings.transport_retry_time);
  for (const { destination, entries } of left) {
    putOff(core, entries, UNAVAILABLE);
    transport.drop(destination);
  }
}

function putOff(core: Core, entries: readonly Entry[], detail: DsnDetail): void {
  const stranded = suspend(core, entries, detail);
  if (stranded.length > 0) void deferAll(core, stranded, detail);
}

async function deferAll(core: Core, entries: readonly Entry[], detail: DsnDetail): Promise<void> {
  for (const { message, recipients } of entries) {
    await recorded(core, message, recipients, (...args) => deferDirectly(...args, detail));
    // The entry itself, which was counted when it was put in line.
    finished(core, message);
  }
}

/** Something about a message has ended. */
function finished(core: Core, message: Message): void {
  message.unfinished -= 1;
  if (message.moreAt !== undefined) readOn(core, message);
  else if (message.unfinished === 0) void end(core, message);
}

/** Recipients of a message are out of memory, and leave room for others. */
function forget(core: Core, message: Message, count: number): void {
  message.recipients -= count;
  core.active.recipients -= count;
  for (const job of message.jobs) job.transport.pool.settle(job);
}

/** Reads the next recipients of a message when there is room for them. */
export function readOn(core: Core, message: Message): void {
  if (message.moreAt === undefined || message.isReading) return;
  const waitMs = refillWaitMs(message);
  if (waitMs === undefined) return;
  if (waitMs > 0) {
    message.refill ??= after(waitMs, () => {
      message.refill = undefined;
      readOn(core, message);
    });
    return;
  }
  message.refill?.stop();
  message.refill = undefined;
  void take(core, message, readMore(core, message));
}

async function end(core: Core, message: Message): Promise<void> {
  try {
    await complete(core, message);
  } catch (error) {
    // It stays in active; a new qmgr begins with it.
    core.log.warn({ kind: 'text', queueId: message.id, text: errorText(error) });
  } finally {
    if (isProbe(message)) core.active.probes -= 1;
    for (const job of message.jobs) job.transport.pool.leave(job);
    core.active.leave(message);
  }
}

function isProbe({ envelope }: Message): boolean {
  return (envelope.traceFlags & DELIVERY_FLAG.MTA_VRFY) !== 0;
}
