import { monotonic } from '../../lib/clock/clock.ts';
import type { Destination } from './destination.ts';
import { JobList } from './job-list.ts';
import { Line } from './line.ts';
import type { Entry, Job, Peer } from './message.ts';
import type { SlotRules } from './settings.ts';

/**
 * Whose turn it is on one transport: the oldest message's, and within it one destination's after
 * the other, as far as the destinations have room.
 *
 * A small message may go before a large one. For each `cost` deliveries that a job gets it saves up
 * a slot; a job that can be done in as many slots as the first one has saved, or will have saved in
 * the end, may preempt it. Of several the one that has waited longest for its size does. With a loan
 * or a discount it need not wait until all slots are there, but all are paid. So a list takes at
 * most cost / (cost - 1) times as long, however many small ones come. Postfix: SCHEDULER_README.
 *
 * Jobs without a destination that has room are not seen here: to pick one costs the same however
 * many wait for a slow destination.
 */
export class Schedule {
  readonly #rules: SlotRules;
  /** Told when a job whose message is not wholly in memory comes to the front. */
  readonly #promoted: (job: Job) => void;
  readonly #jobs = new JobList();
  /** Destinations that could take a delivery now. */
  readonly #open = new Line<Destination>((one, other) =>
    isPeerBefore(one.first as Peer, other.first as Peer),
  );
  /** The last search for a candidate: whom it was to preempt, when, and what came of it. */
  #searchedFor: Job | undefined;
  #searchedAt = 0;
  #candidate: Job | undefined;
  #turns = 0;

  constructor(rules: SlotRules, promoted: (job: Job) => void) {
    this.#rules = rules;
    this.#promoted = promoted;
  }

  /** How many deliveries could begin now; not exact above one. */
  get ready(): number {
    const { length, first } = this.#open;
    return length === 1 ? (first as Destination).possible : length;
  }

  /** A job has got something to deliver. */
  added(job: Job): void {
    this.#searchedFor = undefined;
    if (job.isListed) return;
    job.isListed = true;
    this.#jobs.add(job);
  }

  /** What a destination has to deliver, or its room, has changed. */
  changed(destination: Destination): void {
    const isOpen = destination.possible > 0;
    if (destination.place >= 0) {
      if (isOpen) this.#open.moved(destination);
      else this.#open.remove(destination);
    } else if (isOpen) {
      this.#open.add(destination);
      this.#searchedFor = undefined;
    }
  }

  /** Picks the next delivery. */
  next(): { peer: Peer; entry: Entry } | undefined {
    let job = this.#open.first?.first?.job;
    if (job === undefined) return undefined;
    const candidate = this.#preempting(job);
    if (candidate !== undefined) {
      this.#preempt(job, candidate);
      job = candidate;
    }
    // Whatever of the first job can go now is first at its destination, too.
    const peer = this.#open.first?.first as Peer;
    peer.turn = this.#turns += 1;
    job.slots += 1;
    job.used += 1;
    if (job !== this.#searchedFor) this.#searchedFor = undefined;
    return { peer, entry: peer.destination.take(peer) };
  }

  /** A job has nothing to deliver any more, at least for now. */
  emptied(job: Job): void {
    if (!job.isListed) return;
    job.isListed = false;
    this.#settle(job);
    this.#jobs.remove(job);
    this.#searchedFor = undefined;
  }

  /** The job that goes before the one whose turn it would be. */
  #preempting(current: Job): Job | undefined {
    const { cost, loan, discount, minimumSlots } = this.#rules;
    // 0 and 1: without preemption.
    if (cost < 2 || current.slots <= 0 || mostEntries(current) < minimumSlots * cost) {
      return undefined;
    }
    const candidate = this.#candidateFor(current);
    if (candidate === undefined) return undefined;
    const needed = mostEntries(candidate) - candidate.selected;
    const saved = Math.floor(current.slots / cost);
    return saved + loan < (needed * (100 - discount)) / 100 ? undefined : candidate;
  }

  #candidateFor(current: Job): Job | undefined {
    const second = Math.floor(monotonic() / 1000);
    // Time changes who is the best, not whether there is anybody.
    const isFresh = this.#searchedAt === second || this.#candidate === undefined;
    if (this.#searchedFor !== current || !isFresh) {
      this.#candidate = bestCandidate(current, this.#rules.cost, second);
      this.#searchedFor = current;
      this.#searchedAt = second;
    }
    return this.#candidate;
  }

  #preempt(current: Job, candidate: Job): void {
    // It may stand in front of another one already.
    this.#settle(candidate);
    const needed = mostEntries(candidate) - candidate.selected;
    current.slots -= needed * this.#rules.cost;
    candidate.preempts = current;
    candidate.creditor = current;
    candidate.lent = needed;
    candidate.used = 0;
    current.preemptedBy ??= new Set();
    current.preemptedBy.add(candidate);
    // Several at once would leave the line in disorder: those whose rank changes step out.
    for (const { destination } of candidate.peers) {
      if (destination.place >= 0) this.#open.remove(destination);
    }
    this.#jobs.putBefore(candidate, current);
    for (const peer of candidate.peers) {
      peer.destination.moved(peer);
      this.changed(peer.destination);
    }
    this.#searchedFor = undefined;
    if (candidate.message.moreAt !== undefined) this.#promoted(candidate);
  }

  /** Ends a preemption: what was not used, or used in excess, is settled with who was preempted. */
  #settle(job: Job): void {
    const { preempts, creditor, preemptedBy } = job;
    if (creditor !== undefined) creditor.slots += (job.lent - job.used) * this.#rules.cost;
    preempts?.preemptedBy?.delete(job);
    // Those in front of it stay where they are; but to others they owe nothing.
    for (const other of preemptedBy ?? []) {
      other.preempts = preempts;
      other.creditor = undefined;
      preempts?.preemptedBy?.add(other);
    }
    job.preempts = undefined;
    job.creditor = undefined;
    job.preemptedBy = undefined;
  }
}

/** Peers in the order of their jobs; those of one job take turns. */
export function isPeerBefore(one: Peer, other: Peer): boolean {
  return one.job === other.job ? one.turn < other.turn : one.job.rank < other.job.rank;
}

/** Deliveries that a job has and had, and may get at most when all recipients have been read. */
function mostEntries({ entries, message }: Job): number {
  return entries + message.unread;
}

/** Who may preempt a job, now or when it has saved up enough: the highest age by size. */
function bestCandidate(current: Job, cost: number, second: number): Job | undefined {
  const slots = Math.floor((current.entries - current.selected + current.slots) / cost);
  if (slots <= 0) return undefined;
  let best: Job | undefined;
  let bestScore = 0;
  for (let job = current.behind; job !== undefined; job = job.behind) {
    const age = second - job.message.queuedSecond + 1;
    const most = mostEntries(job);
    const needed = most - job.selected;
    const score = age / most;
    if (needed <= slots && score > bestScore && isCandidate(job)) {
      best = job;
      bestScore = score;
    }
    // From here on all are younger.
    if (age <= bestScore && job.preempts === undefined) break;
  }
  return best;
}

function isCandidate({ preemptedBy, peers }: Job): boolean {
  if (preemptedBy !== undefined && preemptedBy.size > 0) return false;
  for (const { destination } of peers) if (destination.hasRoom) return true;
  return false;
}
