import { after, type Timer } from '../../lib/clock/clock.ts';
import type { DsnDetail } from '../../lib/dsn/detail.ts';
import type { QueuedRecipient } from '../../lib/queue/envelope.ts';
import { Concurrency } from './concurrency.ts';
import { Fifo } from './fifo.ts';
import { type InLine, Line } from './line.ts';
import type { Entry, Job, Message, Peer } from './message.ts';
import { isPeerBefore } from './schedule.ts';
import type { Transport } from './transport.ts';

/** What is said of recipients that wait for a dead destination. */
export const SUSPENDED = 'delivery temporarily suspended: ';

/**
 * Where a transport's mail goes: a nexthop, or one recipient behind it. It lives while it has
 * deliveries, and for a while longer when it is dead.
 *
 * Messages stand in line here, in the order of their jobs. Its own place is among the destinations
 * that could take a delivery now.
 */
export class Destination implements InLine {
  readonly transport: Transport;
  readonly name: string;
  readonly nexthop: string;
  /** Deliveries that are under way. */
  busy = 0;
  /** Entries that are not. */
  todo = 0;
  /** DELIVERY_FLAGS for connection caching. */
  cacheFlags = 0;
  /** Seconds: the last delivery ended. */
  lastDoneAt = 0;
  /** Seconds: when to warn of congestion again. */
  nextWarningAt = 0;
  /** Why nothing goes there at present. */
  dead: DsnDetail | undefined;

  place = -1;

  #concurrency: Concurrency;
  readonly #peers = new Map<Message, Peer>();
  readonly #line = new Line<Peer>(isPeerBefore);
  #pausing = false;
  #timer: Timer | undefined;

  constructor(transport: Transport, name: string, nexthop: string) {
    this.transport = transport;
    this.name = name;
    this.nexthop = nexthop;
    this.#concurrency = new Concurrency(transport.limits);
  }

  get window(): number {
    // With a pause after each delivery there can't be two at a time.
    return this.transport.limits.destinationDelay > 0 ? 1 : this.#concurrency.window;
  }

  /** Whether another delivery may begin. */
  get hasRoom(): boolean {
    return this.busy < this.window && !this.#pausing && this.dead === undefined;
  }

  /** Deliveries that could begin now. */
  get possible(): number {
    return this.hasRoom ? Math.min(this.todo, this.window - this.busy) : 0;
  }

  /** The peer whose turn it is. */
  get first(): Peer | undefined {
    return this.#line.first;
  }

  /** Nothing is known of it that must be kept. */
  get idle(): boolean {
    return this.busy === 0 && this.todo === 0 && this.dead === undefined && !this.#pausing;
  }

  /** Adds recipients, to a delivery that waits first of all. @returns how many others it takes */
  add(job: Job, recipients: readonly QueuedRecipient[], limit: number): number {
    const last = this.#peers.get(job.message)?.entries.last?.recipients;
    const most = limit > 0 ? limit : Number.POSITIVE_INFINITY;
    let at = 0;
    while (last !== undefined && last.length < most && at < recipients.length) {
      last.push(recipients[at++] as QueuedRecipient);
    }
    let added = 0;
    for (; at < recipients.length; at += most) {
      added += this.addEntry(job, recipients.slice(at, at + most));
    }
    return added;
  }

  /** Adds a delivery. @returns 1 */
  addEntry(job: Job, recipients: QueuedRecipient[]): number {
    let peer = this.#peers.get(job.message);
    if (peer === undefined) {
      const index = job.peers.length;
      peer = { job, destination: this, entries: new Fifo(), index, turn: 0, place: -1 };
      this.#peers.set(job.message, peer);
      job.peers.push(peer);
      this.#line.add(peer);
    }
    peer.entries.push({ message: job.message, job, recipients });
    this.todo += 1;
    this.transport.schedule.changed(this);
    return 1;
  }

  /** A peer's job has got another place. */
  moved(peer: Peer): void {
    this.#line.moved(peer);
  }

  /** The next entry of a peer. */
  take(peer: Peer): Entry {
    const entry = peer.entries.shift() as Entry;
    const { job } = peer;
    this.busy += 1;
    this.todo -= 1;
    job.selected += 1;
    if (peer.entries.length > 0) this.#line.moved(peer);
    else this.#forget(peer);
    this.transport.schedule.changed(this);
    if (job.selected === job.entries) this.transport.schedule.emptied(job);
    return entry;
  }

  #forget(peer: Peer): void {
    this.#line.remove(peer);
    this.#peers.delete(peer.job.message);
    const { peers } = peer.job;
    const last = peers.pop() as Peer;
    if (last === peer) return;
    peers[peer.index] = last;
    last.index = peer.index;
  }

  /** A delivery ended well enough: the destination is alive. */
  succeeded(): void {
    if (this.dead === undefined) this.#concurrency.succeeded(this.busy);
  }

  /** The destination itself is in trouble. @returns true when it is dead now */
  failed(): boolean {
    return this.dead === undefined && this.#concurrency.failed();
  }

  /** Nothing goes there for a while. @returns the entries that were to go */
  die(detail: DsnDetail, seconds: number): Entry[] {
    this.dead = detail;
    this.#pausing = false;
    this.#timer?.stop();
    this.#timer = after(seconds * 1000, () => this.revive());
    return this.takeAll();
  }

  /** All entries that are not under way. */
  takeAll(): Entry[] {
    const entries: Entry[] = [];
    const { schedule } = this.transport;
    for (const peer of [...this.#peers.values()]) {
      const { job } = peer;
      this.#forget(peer);
      for (let entry = peer.entries.shift(); entry !== undefined; entry = peer.entries.shift()) {
        entries.push(entry);
        job.selected += 1;
        job.recipients -= entry.recipients.length;
      }
      if (job.selected === job.entries) schedule.emptied(job);
    }
    this.todo = 0;
    schedule.changed(this);
    return entries;
  }

  /** Forgets that it is dead. */
  revive(): void {
    if (this.dead === undefined) return;
    this.dead = undefined;
    this.#timer?.stop();
    this.#concurrency = new Concurrency(this.transport.limits);
    this.transport.schedule.changed(this);
    this.transport.drop(this);
  }

  /** `destination_rate_delay`: nothing more for so many seconds. */
  pause(seconds: number): void {
    if (this.dead !== undefined) return;
    this.#pausing = true;
    this.transport.schedule.changed(this);
    this.#timer?.stop();
    this.#timer = after(seconds * 1000, () => {
      this.#pausing = false;
      this.transport.schedule.changed(this);
      this.transport.drop(this);
    });
  }
}
