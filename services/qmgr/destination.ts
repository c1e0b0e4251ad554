import { after, type Timer } from '../../lib/clock/clock.ts';
import type { DsnDetail } from '../../lib/dsn/detail.ts';
import { Concurrency } from './concurrency.ts';
import { Fifo } from './fifo.ts';
import type { Entry, Job, Message, Peer } from './message.ts';
import type { Transport } from './transport.ts';

/** What is said of recipients that wait for a dead destination. */
export const SUSPENDED = 'delivery temporarily suspended: ';

/**
 * Where a transport's mail goes: a nexthop, or one recipient behind it. It lives while it has
 * deliveries, and for a while longer when it is dead.
 *
 * Messages stand in line here; each time they get one delivery. So a message with thousands of
 * recipients and one with a single one take turns.
 */
export class Destination {
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

  #concurrency: Concurrency;
  readonly #peers = new Map<Message, Peer>();
  #line = new Fifo<Peer>();
  /** Peers that may go and have not gone. */
  #released = 0;
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

  /** How many messages wait here. */
  get messages(): number {
    return this.#peers.size;
  }

  /** Nothing is known of it that must be kept. */
  get idle(): boolean {
    return this.busy === 0 && this.todo === 0 && this.dead === undefined && !this.#pausing;
  }

  /** Adds an entry; the transport may be told that there is something to do. */
  add(job: Job, entry: Entry): void {
    let peer = this.#peers.get(entry.message);
    if (peer === undefined) {
      peer = { job, destination: this, entries: new Fifo(), state: 'idle' };
      this.#peers.set(entry.message, peer);
    }
    peer.entries.push(entry);
    this.todo += 1;
    if (peer.state !== 'idle') return;
    peer.state = 'waiting';
    this.#line.push(peer);
    this.release();
  }

  /** Lets as many peers go as the window allows. */
  release(): void {
    if (this.#pausing || this.dead !== undefined) return;
    while (this.busy + this.#released < this.window) {
      const peer = this.#line.shift();
      if (peer === undefined) return;
      this.#released += 1;
      peer.state = 'ready';
      this.transport.schedule.offer(peer);
    }
  }

  /** The next entry of a peer whose turn has come; it goes to the end of the line if it has more. */
  take(peer: Peer): Entry | undefined {
    this.#released -= 1;
    const entry = peer.entries.shift();
    if (entry === undefined) return undefined;
    this.busy += 1;
    this.todo -= 1;
    if (peer.entries.length > 0) {
      peer.state = 'waiting';
      this.#line.push(peer);
    } else {
      peer.state = 'idle';
      this.#peers.delete(entry.message);
    }
    return entry;
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
    for (const peer of this.#peers.values()) {
      for (let entry = peer.entries.shift(); entry !== undefined; entry = peer.entries.shift()) {
        entries.push(entry);
      }
      if (peer.state === 'ready') this.transport.schedule.withdraw();
      peer.state = 'idle';
    }
    this.#peers.clear();
    this.#line = new Fifo();
    this.#released = 0;
    this.todo = 0;
    return entries;
  }

  /** Forgets that it is dead. */
  revive(): void {
    if (this.dead === undefined) return;
    this.dead = undefined;
    this.#timer?.stop();
    this.#concurrency = new Concurrency(this.transport.limits);
    this.release();
    this.transport.drop(this);
  }

  /** `destination_rate_delay`: nothing more for so many seconds. */
  pause(seconds: number): void {
    if (this.dead !== undefined) return;
    this.#pausing = true;
    this.#timer?.stop();
    this.#timer = after(seconds * 1000, () => {
      this.#pausing = false;
      this.release();
      this.transport.drop(this);
    });
  }
}
