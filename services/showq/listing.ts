/** What is in the queue: each message with the recipients that are still to do. */
import type { Log } from '../../lib/log/log.ts';
import { errorText, isErrno, isSystemError } from '../../lib/os/error.ts';
import { readLog } from '../../lib/queue/logs.ts';
import { QUEUE_FILE_MODE, QueueFile } from '../../lib/queue/queue-file.ts';
import { QueueFileError } from '../../lib/queue/queue-file-error.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import { type Hashing, queuePath } from '../../lib/queue/queue-path.ts';
import { scanQueue } from '../../lib/queue/scan.ts';

/** In the order they are listed. */
const QUEUES = ['maildrop', 'active', 'incoming', 'deferred', 'hold'] as const;
type ListedQueue = (typeof QUEUES)[number];

/** Recipients in memory at a time, however many a message has. */
const BATCH = 1000;
/** A maildrop file has no size record to read on from. */
const MAILDROP_RECIPIENTS_MAX = 50_000;

export interface QueuedMessage {
  readonly queue: ListedQueue;
  readonly id: QueueId;
  /** Seconds since the epoch. */
  readonly arrivalTime: number;
  readonly sizeBytes: number;
  readonly forcedExpire: boolean;
  readonly sender: string;
  /** Those with a reason first. Valid until the next message is asked for. */
  readonly recipients: Iterable<{ readonly address: string; readonly reason: string }>;
}

/** All complete messages, in directory order within a queue. */
export function* listMessages(
  hashing: Hashing,
  duplicateLimit: number,
  log: Log,
): Generator<QueuedMessage, void, undefined> {
  for (const queue of QUEUES) {
    for (const id of scanQueue(queue)) {
      try {
        yield* listMessage(queue, id, { hashing, duplicateLimit, log });
      } catch (error) {
        // It was delivered or moved since we saw its name.
        if (!isErrno(error, 'ENOENT', 'ELOOP')) tell(error, queuePath(queue, id, hashing), log);
      }
    }
  }
}

/** What can't be read must not keep the rest from being listed. */
function tell(error: unknown, path: string, log: Log): void {
  if (error instanceof QueueFileError) log.warn(error.message);
  else if (isSystemError(error)) log.warn(`${path}: ${errorText(error)}`);
  else throw error;
}

interface Listing {
  readonly hashing: Hashing;
  readonly duplicateLimit: number;
  readonly log: Log;
}

function* listMessage(
  queue: ListedQueue,
  id: QueueId,
  { hashing, duplicateLimit, log }: Listing,
): Generator<QueuedMessage, void, undefined> {
  const file = QueueFile.open(queuePath(queue, id, hashing));
  try {
    if (!file.ready) return;
    const envelope = file.envelope(queue === 'maildrop' ? MAILDROP_RECIPIENTS_MAX : BATCH);
    const { size, sender } = envelope;
    if (sender === undefined) return;
    yield {
      queue,
      id,
      arrivalTime: envelope.arrivalTime?.seconds ?? Math.floor(file.stats.mtimeMs / 1000),
      sizeBytes: size?.storedBytes ?? file.sizeBytes,
      forcedExpire: (file.stats.mode & QUEUE_FILE_MODE.expire) !== 0,
      sender,
      recipients: recipientsOf(),
    };

    function* recipientsOf() {
      const shown = new Set<string>();
      try {
        for (const { recipient, detail } of readLog({ queue: 'defer', id, hashing })) {
          if (shown.size < duplicateLimit || duplicateLimit === 0) shown.add(recipient.address);
          yield { address: recipient.address, reason: detail.reason };
        }
      } catch (error) {
        tell(error, queuePath('defer', id, hashing), log);
      }
      for (let batch: Batch | undefined = envelope; batch !== undefined; ) {
        for (const { address } of batch.recipients) {
          if (!shown.has(address)) yield { address, reason: '' };
        }
        const from: number | undefined = batch.moreAt;
        batch =
          from === undefined || size === undefined ? undefined : file.recipients(from, BATCH, size);
      }
    }
  } finally {
    file.close();
  }
}

type Batch = ReturnType<QueueFile['recipients']>;
