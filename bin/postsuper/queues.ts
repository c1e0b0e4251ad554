/** The queues that postsuper knows. */
import type { QueueName } from '../../lib/queue/queue-path.ts';

export const MESSAGE_QUEUES: readonly QueueName[] = [
  'maildrop',
  'incoming',
  'active',
  'deferred',
  'hold',
];

/** A message's logs. */
export const LOG_QUEUES = ['bounce', 'defer', 'trace'] as const;

/** What it works on when the command line names none. */
export const DEFAULT_QUEUES: readonly QueueName[] = [
  'defer',
  'bounce',
  'maildrop',
  'incoming',
  'active',
  'deferred',
  'hold',
  'flush',
];

/** What the command line may name. */
export const KNOWN_QUEUES: readonly QueueName[] = [...DEFAULT_QUEUES, 'trace'];
