import type { AgentConnection } from '../../lib/clients/delivery.ts';
import { after, type Timer } from '../../lib/clock/clock.ts';
import type { DsnDetail } from '../../lib/dsn/detail.ts';
import type { QueuedRecipient } from '../../lib/queue/envelope.ts';
import { Agents } from './agents.ts';
import { Destination } from './destination.ts';
import type { Entry, Job, Message, Peer } from './message.ts';
import { RecipientPool } from './recipient-pool.ts';
import { Schedule } from './schedule.ts';
import type { TransportLimits } from './settings.ts';

/** What a transport asks of those around it. */
export interface TransportDuties {
  connect(): Promise<AgentConnection>;
  /** Delivers an entry, and accounts for it. Never throws. @returns a connection to use again */
  deliver(
    entry: Entry,
    destination: Destination,
    connection: AgentConnection,
  ): Promise<AgentConnection | undefined>;
  /** No agent can be had. */
  failed(transport: Transport, error: Error): void;
  /** A message with recipients on disk may have more of them in memory. */
  roomFor(job: Job): void;
}

/** A delivery service of master.cf: its destinations, and whose turn it is. */
export class Transport {
  readonly name: string;
  readonly limits: TransportLimits;
  readonly schedule: Schedule;
  readonly pool: RecipientPool;
  /** Why nothing is delivered over it at present. */
  dead: DsnDetail | undefined;

  readonly #duties: TransportDuties;
  readonly #agents: Agents;
  readonly #destinations = new Map<string, Destination>();
  #revival: Timer | undefined;
  /** transport_rate_delay: one delivery at a time, and a pause after it. */
  #resting = false;

  constructor(name: string, limits: TransportLimits, duties: TransportDuties) {
    this.name = name;
    this.limits = limits;
    this.schedule = new Schedule(limits.slots, (job) => this.pool.lend(job));
    const { recipientsInMemory, recipientsInReserve } = limits;
    this.pool = new RecipientPool(recipientsInMemory, recipientsInReserve, duties.roomFor);
    this.#duties = duties;
    this.#agents = new Agents(
      () => duties.connect(),
      (connection) => {
        this.#use(connection);
        this.pump();
      },
      (error) => duties.failed(this, error),
    );
  }

  get destinations(): Iterable<Destination> {
    return this.#destinations.values();
  }

  /** Nothing is known of it that must be kept. */
  get idle(): boolean {
    return this.dead === undefined && this.#destinations.size === 0 && !this.#resting;
  }

  /** Whether all mail here goes to one destination. */
  isAlone(destination: Destination): boolean {
    return this.#destinations.size === 1 && this.#destinations.has(destination.name);
  }

  /** Finds a destination, or begins it. The name tells apart what has the same nexthop. */
  destination(name: string, nexthop: string): Destination {
    const key = name.toLowerCase();
    let destination = this.#destinations.get(key);
    if (destination === undefined) {
      destination = new Destination(this, key, nexthop);
      this.#destinations.set(key, destination);
    }
    return destination;
  }

  /**
   * Puts recipients in line, as many in one delivery as may be. `pump` makes them go.
   *
   * @returns how many deliveries have come to those that waited
   */
  enqueue(
    message: Message,
    recipients: readonly QueuedRecipient[],
    destination: Destination,
  ): number {
    const limit = message.envelope.verpDelimiters === undefined ? this.limits.recipients : 1;
    return this.#enqueue(message, recipients, (job) => destination.add(job, recipients, limit));
  }

  /** Puts a delivery in line that was to go elsewhere. */
  requeue({ message, recipients }: Entry, destination: Destination): void {
    this.#enqueue(message, recipients, (job) => destination.addEntry(job, recipients));
  }

  #enqueue(
    message: Message,
    recipients: readonly QueuedRecipient[],
    add: (job: Job) => number,
  ): number {
    const job = this.#job(message);
    job.recipients += recipients.length;
    // First of all its rank: by that it gets its place at the destination.
    this.schedule.added(job);
    const added = add(job);
    job.entries += added;
    this.pool.grown(job);
    return added;
  }

  /** Begins what can begin. */
  pump(): void {
    if (this.dead !== undefined || this.#resting) return;
    while (this.schedule.ready > 0) {
      const connection = this.#agents.take();
      if (connection === undefined) break;
      this.#use(connection);
      if (this.#resting) return;
    }
    this.#agents.want(this.schedule.ready);
  }

  /** Lets go of a destination that nobody needs. */
  drop(destination: Destination): void {
    if (destination.idle) this.#destinations.delete(destination.name);
    this.pump();
  }

  /** Nothing is delivered for a while. @returns what was to be */
  die(detail: DsnDetail, seconds: number): { destination: Destination; entries: Entry[] }[] {
    this.dead = detail;
    this.#revival?.stop();
    this.#revival = after(seconds * 1000, () => this.revive());
    const left = [...this.#destinations.values()];
    return left.map((destination) => ({ destination, entries: destination.takeAll() }));
  }

  /** Forgets that it is dead. */
  revive(): void {
    this.dead = undefined;
    this.#revival?.stop();
    this.pump();
  }

  close(): void {
    this.#agents.close();
  }

  /** An agent is free. A new one that has nothing to do is let go without a word. */
  #use(connection: AgentConnection): void {
    const next = this.dead === undefined && !this.#resting ? this.schedule.next() : undefined;
    if (next === undefined) {
      if (connection.reusable) this.#agents.keep(connection);
      else connection.close();
      return;
    }
    void this.#deliver(next.peer, next.entry, connection);
  }

  async #deliver(peer: Peer, entry: Entry, connection: AgentConnection): Promise<void> {
    const { destination } = peer;
    const pause = this.limits.transportDelay;
    this.#resting = pause > 0;
    const kept = await this.#duties.deliver(entry, destination, connection);
    if (this.limits.destinationDelay > 0) destination.pause(this.limits.destinationDelay);
    this.schedule.changed(destination);
    if (kept !== undefined && !this.#resting) this.#use(kept);
    else if (kept !== undefined) this.#agents.keep(kept);
    if (pause > 0) {
      after(pause * 1000, () => {
        this.#resting = false;
        this.pump();
      });
    }
    this.drop(destination);
  }

  #job(message: Message): Job {
    let job = message.jobs.find(({ transport }) => transport === this);
    if (job === undefined) {
      job = newJob(message, this);
      message.jobs.push(job);
    }
    return job;
  }
}

function newJob(message: Message, transport: Transport): Job {
  return {
    message,
    transport,
    peers: [],
    entries: 0,
    selected: 0,
    before: undefined,
    behind: undefined,
    rank: 0,
    isListed: false,
    slots: 0,
    preempts: undefined,
    preemptedBy: undefined,
    creditor: undefined,
    lent: 0,
    used: 0,
    recipients: 0,
    recipientSlots: 0,
    place: -1,
  };
}
