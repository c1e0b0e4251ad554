import type { AgentConnection } from '../../lib/clients/delivery.ts';
import type { RewriteClient } from '../../lib/clients/rewrite.ts';
import type { Reporters } from '../../lib/delivery/reporters.ts';
import type { Log } from '../../lib/log/log.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import type { Hashing } from '../../lib/queue/queue-path.ts';
import type { Message } from './message.ts';
import type { QueueMoves } from './queue-moves.ts';
import type { RoutingRules } from './routing.ts';
import type { Settings } from './settings.ts';
import type { Transports } from './transports.ts';

/** What the parts of the queue manager share. */
export interface Core {
  readonly settings: Settings;
  readonly log: Log;
  readonly hashing: Hashing;
  readonly moves: QueueMoves;
  readonly rewrite: RewriteClient;
  readonly reporters: Reporters;
  readonly rules: RoutingRules;
  readonly active: ActiveQueue;
  readonly transports: Transports;
  /** Connects to a transport's agents. @throws {IpcError} */
  connect(transport: string): Promise<AgentConnection>;
}

/** The messages in memory. */
export class ActiveQueue {
  readonly #messages = new Map<QueueId, Message>();
  readonly #blocked = new Set<QueueId>();
  readonly #onLeave: () => void;
  /** Recipients in memory, of all messages. */
  recipients = 0;
  /** Address probes among the messages. */
  probes = 0;
  #sequence = 0;

  /** @param onLeave there is room for another message */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  get size(): number {
    return this.#messages.size;
  }

  /** Whether a message of that name is in active, ours or one that is in the way. */
  has(id: QueueId): boolean {
    return this.#messages.has(id) || this.#blocked.has(id);
  }

  /** A file in active can't be moved away: nothing may be moved onto it. */
  block(id: QueueId): void {
    this.#blocked.add(id);
  }

  add(message: Message): void {
    this.#messages.set(message.id, message);
  }

  /** Numbers messages in the order in which they become active. */
  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  leave(message: Message): void {
    this.#messages.delete(message.id);
    this.recipients -= message.recipients;
    message.recipients = 0;
    this.#onLeave();
  }
}
