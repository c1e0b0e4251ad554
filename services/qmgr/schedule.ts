import { Fifo } from './fifo.ts';
import type { Entry, Job, Peer } from './message.ts';

/**
 * Whose turn it is on one transport. Messages that have something to deliver stand in a round; each
 * gets up to `turn` deliveries (delivery_slot_cost), then the next. So a message that comes late
 * and is small waits for one turn of each of the others, not for all recipients of a list.
 *
 * Only peers whose destination has room are here: to pick one costs the same however many wait.
 */
export class Schedule {
  readonly #turn: number;
  readonly #round = new Fifo<Job>();
  #current: Job | undefined;
  #taken = 0;
  #ready = 0;

  constructor(turn: number) {
    this.#turn = Math.max(1, turn);
  }

  /** How many deliveries could begin now. */
  get ready(): number {
    return this.#ready;
  }

  /** A destination has room for a delivery of this peer. */
  offer(peer: Peer): void {
    const { job } = peer;
    this.#ready += 1;
    job.ready.push(peer);
    if (job.queued) return;
    job.queued = true;
    this.#round.push(job);
  }

  /** A peer that was offered has nothing to deliver any more; it is passed over when met. */
  withdraw(): void {
    this.#ready -= 1;
  }

  /** Picks the next delivery. */
  next(): { peer: Peer; entry: Entry } | undefined {
    for (let job = this.#job(); job !== undefined; job = this.#job()) {
      const peer = job.ready.shift();
      if (peer === undefined) {
        job.queued = false;
        this.#current = undefined;
        continue;
      }
      if (peer.state !== 'ready') continue;
      this.#ready -= 1;
      const entry = peer.destination.take(peer);
      if (entry === undefined) continue;
      this.#taken += 1;
      peer.destination.release();
      return { peer, entry };
    }
    return undefined;
  }

  #job(): Job | undefined {
    const current = this.#current;
    if (current !== undefined && this.#taken < this.#turn) return current;
    if (current !== undefined) this.#round.push(current);
    this.#current = this.#round.shift();
    this.#taken = 0;
    return this.#current;
  }
}
