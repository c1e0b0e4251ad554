import type { Timer, WallTime } from '../../lib/clock/clock.ts';
import type { DeliveryRequest } from '../../lib/delivery/request.ts';
import type { QueuedRecipient } from '../../lib/queue/envelope.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import type { SizeRecord } from '../../lib/queue/size-record.ts';
import type { Destination } from './destination.ts';
import type { Fifo } from './fifo.ts';
import type { InLine } from './line.ts';
import type { Transport } from './transport.ts';

/** A message in the active queue. The disk holds the truth; this is what is needed to work on it. */
export interface Message {
  readonly id: QueueId;
  /** Recipients are in entries, and gone when they are finished. */
  readonly envelope: ActiveEnvelope;
  readonly activeAt: WallTime;
  /** The order in which messages became active, and when, in seconds of the monotonic clock. */
  readonly sequence: number;
  readonly queuedSecond: number;
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
  /** Recipients that are not in memory: at most so many, some may be done. */
  unread: number;
  /** Recipients in memory. */
  recipients: number;
  /** As many may be read into memory: its own minimum, and what its jobs got from their transports. */
  recipientSlots: number;
  /** Recipients that have been read are being resolved. */
  isReading: boolean;
  /** When recipients were read last: milliseconds of the monotonic clock. */
  refilledAt: number;
  /** Reads on when there is room, but not much of it. */
  refill: Timer | undefined;
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

/** One message's deliveries over one transport. Its place is in the transport's recipient pool. */
export interface Job extends InLine {
  readonly message: Message;
  readonly transport: Transport;
  /** Those that have something to deliver, in no order. */
  readonly peers: Peer[];
  /** Deliveries so far, those that wait included; and those that do not wait any more. */
  entries: number;
  selected: number;

  // Owned by JobList.
  before: Job | undefined;
  behind: Job | undefined;
  rank: number;

  // Owned by Schedule.
  isListed: boolean;
  /** Deliveries that count towards being preempted; less than 0: as many must be made first. */
  slots: number;
  /** The job that it stands in front of, and those that stand in front of it. */
  preempts: Job | undefined;
  preemptedBy: Set<Job> | undefined;
  /** Who gave it slots, how many, and how many it used. */
  creditor: Job | undefined;
  lent: number;
  used: number;

  /** Recipients in memory, and how many its transport lets it have. */
  recipients: number;
  recipientSlots: number;
}

/** One message's deliveries to one destination. Its place is in the destination's line. */
export interface Peer extends InLine {
  readonly job: Job;
  readonly destination: Destination;
  readonly entries: Fifo<Entry>;
  /** Where it is among its job's peers. */
  index: number;
  /** When it was its turn last. */
  turn: number;
}

/** Recipients of one message that go to one destination in one delivery. */
export interface Entry {
  readonly message: Message;
  readonly job: Job;
  /** More may be added while it waits. */
  readonly recipients: QueuedRecipient[];
}
