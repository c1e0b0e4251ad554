/** Where a message lies under the queue directory, and how busy queues are spread over subdirectories. */
import { hashKey, type QueueId } from './queue-id.ts';

/** Queues that hold messages, logs of messages, or site lists. */
export const QUEUE_NAMES = [
  'maildrop',
  'incoming',
  'active',
  'deferred',
  'hold',
  'corrupt',
  'saved',
  'bounce',
  'defer',
  'trace',
  'flush',
] as const;

export type QueueName = (typeof QUEUE_NAMES)[number];

/** hash_queue_names and hash_queue_depth. */
export interface Hashing {
  /** In lower case. */
  readonly names: ReadonlySet<string>;
  readonly depth: number;
}

/** What Postfix does when main.cf says nothing. */
export const DEFAULT_HASHING: Hashing = { names: new Set(['deferred', 'defer']), depth: 1 };

/** Which queues are hashed, as main.cf says it. */
export function hashingOf(parameters: {
  readonly hash_queue_names: string;
  readonly hash_queue_depth: number;
}): Hashing {
  const names = parameters.hash_queue_names.toLowerCase().split(/[\s,]+/);
  return {
    names: new Set(names.filter((name) => name !== '')),
    depth: parameters.hash_queue_depth,
  };
}

/** How many levels of subdirectories a queue has. */
export function depthOf(queue: string, hashing: Hashing): number {
  return hashing.names.has(queue) ? hashing.depth : 0;
}

/** `deferred/B/BEB6C220193`: relative to the queue directory, where every daemon works. */
export function queuePath(queue: QueueName, id: QueueId, hashing: Hashing): string {
  return queueFolder(queue, id, hashing) + id;
}

/** The folder of a message with its last slash: `deferred/B/`. Short names are filled up with `_`. */
export function queueFolder(queue: QueueName, id: QueueId, hashing: Hashing): string {
  const depth = depthOf(queue, hashing);
  let folder = `${queue}/`;
  if (depth === 0) return folder;
  const key = hashKey(id);
  for (let level = 0; level < depth; level += 1) folder += `${key.charAt(level) || '_'}/`;
  return folder;
}
