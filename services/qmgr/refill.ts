/**
 * How many recipients of a message are read into memory, and when: at first as many as all messages
 * together may have, later as many as its transports let it have. Postfix: SCHEDULER_README.
 */
import { monotonic } from '../../lib/clock/clock.ts';
import { errorText } from '../../lib/os/error.ts';
import type { QueuedRecipient } from '../../lib/queue/envelope.ts';
import { QueueFile } from '../../lib/queue/queue-file.ts';
import { QueueFileError } from '../../lib/queue/queue-file-error.ts';
import type { Core } from './core.ts';
import type { Message } from './message.ts';

/** Recipients read at a time, however much room there is: others wait meanwhile. */
const BATCH_MAX = 5000;

/** Recipients to read with the envelope: nobody knows yet which transports they are for. */
export function firstBatch({ settings, active }: Core): number {
  const room = settings.qmgr_message_recipient_limit - active.recipients;
  return Math.min(BATCH_MAX, Math.max(settings.qmgr_message_recipient_minimum, room));
}

/**
 * How many milliseconds to wait before reading on: 0 is now, undefined not before something is
 * delivered. Few at a time would mean opening the file again and again.
 */
export function refillWaitMs(message: Message): number | undefined {
  if (message.unfinished === 0) return 0;
  const room = roomOf(message);
  if (room <= 0) return undefined;
  let waitMs = Number.POSITIVE_INFINITY;
  for (const { transport } of message.jobs) {
    const { refillRecipients, refillDelay } = transport.limits;
    if (room >= refillRecipients) return 0;
    waitMs = Math.min(waitMs, refillDelay * 1000);
  }
  if (waitMs === Number.POSITIVE_INFINITY) return undefined;
  return Math.max(0, Math.ceil(message.refilledAt + waitMs - monotonic()));
}

/** Reads the next recipients. A file that can't be read any more ends with those it has. */
export function readMore(core: Core, message: Message): readonly QueuedRecipient[] {
  const from = message.moreAt as number;
  message.moreAt = undefined;
  message.refilledAt = monotonic();
  let recipients: readonly QueuedRecipient[] = [];
  try {
    using file = QueueFile.open({ queue: 'active', id: message.id, hashing: core.hashing });
    const count = Math.min(BATCH_MAX, Math.max(1, roomOf(message)));
    const batch = file.recipients(from, count, message.envelope.size);
    recipients = batch.recipients;
    message.moreAt = batch.moreAt;
  } catch (error) {
    message.deferred = true;
    message.damaged = error instanceof QueueFileError;
    core.log.warn({ kind: 'text', queueId: message.id, text: errorText(error) });
  }
  message.unread = message.moreAt === undefined ? 0 : message.unread - recipients.length;
  message.recipients += recipients.length;
  core.active.recipients += recipients.length;
  return recipients;
}

function roomOf({ recipientSlots, recipients }: Message): number {
  return recipientSlots - recipients;
}
