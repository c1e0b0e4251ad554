import type { WallTime } from '../../lib/clock/clock.ts';
import type { DeliveryRequest } from '../../lib/delivery/request.ts';
import type { QueuedRecipient } from '../../lib/queue/envelope.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import type { SizeRecord } from '../../lib/queue/size-record.ts';
import type { Destination } from './destination.ts';
import type { Fifo } from './fifo.ts';
import type { Transport } from './transport.ts';

/** A message in the active queue. The disk holds the truth; this is what is needed to work on it. */
export interface Message {
  readonly id: QueueId;
  /** Recipients are in entries, and gone when they are finished. */
  readonly envelope: ActiveEnvelope;
  readonly activeAt: WallTime;
  /** `postqueue -f` or `-i`: goes ahead in spite of defer_transports. */
  readonly flushed: boolean;
  /** `postqueue -i`: its destinations are to be tried, dead or not. */
  readonly unthrottles: boolean;
  /** `postsuper -e`: to be returned without another attempt. */
  readonly forceExpired: boolean;
  /** What all its delivery requests have in common. */
  readonly request: RequestHead;
  /** Where recipients go on that are not in memory. */
  moreAt: number | undefined;
  /** Recipients in memory. */
  recipients: number;
  /** Entries that are not finished, and one more while recipients are being read or resolved. */
  unfinished: number;
  /** Some recipient must be tried again. */
  deferred: boolean;
  /** The queue file turned out to be damaged after it had been opened. */
  damaged: boolean;
  /** Its share in each transport. Few: no map. */
  readonly jobs: Job[];
}

/** What is needed of an envelope as long as its message is active. */
export interface ActiveEnvelope {
  readonly size: SizeRecord;
  readonly sender: string;
  readonly arrivalTime: WallTime;
  /** Seconds. */
  readonly createTime: number;
  readonly contentFilter: string | undefined;
  readonly inspector: string | undefined;
  readonly redirect: string | undefined;
  readonly verpDelimiters: string | undefined;
  readonly warnTime: number;
  readonly warnOffset: number;
  readonly traceFlags: number;
  readonly traceOffset: number;
}

export type RequestHead = Omit<DeliveryRequest, 'flags' | 'nexthop' | 'recipients' | 'times'>;

/** One message's deliveries over one transport: whose turn it is among messages. */
export interface Job {
  readonly message: Message;
  readonly transport: Transport;
  /** Peers that may deliver now. */
  readonly ready: Fifo<Peer>;
  /** In the transport's round. */
  queued: boolean;
}

/** One message's deliveries to one destination. */
export interface Peer {
  readonly job: Job;
  readonly destination: Destination;
  entries: Fifo<Entry>;
  /** waiting: in the destination's line; ready: in the job's. */
  state: 'idle' | 'waiting' | 'ready';
}

/** Recipients of one message that go to one destination in one delivery. */
export interface Entry {
  readonly message: Message;
  readonly recipients: readonly QueuedRecipient[];
}
