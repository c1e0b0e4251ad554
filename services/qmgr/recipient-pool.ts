import { Line } from './line.ts';
import type { Job } from './message.ts';

/**
 * The recipients that a transport's jobs may have in memory. What is left over goes to the oldest
 * message that has recipients on disk; a job that preempts another gets half of a reserve.
 * Slots that belong to a job count for its whole message: nobody knows yet where recipients go
 * that have not been read. Postfix: SCHEDULER_README, "Dealing with memory resource limits".
 */
export class RecipientPool {
  /** Slots that no job has. Negative: so many of the reserve are lent. */
  #spare: number;
  readonly #reserve: number;
  readonly #unread = new Line<Job>((one, other) => one.message.sequence < other.message.sequence);
  readonly #gained: (job: Job) => void;

  /** @param gained a job whose message has recipients on disk has got slots */
  constructor(limit: number, reserve: number, gained: (job: Job) => void) {
    this.#spare = limit;
    this.#reserve = reserve;
    this.#gained = gained;
  }

  /** A job has got recipients. */
  grown(job: Job): void {
    const oldest = this.#unread.first;
    if (job.message.moreAt !== undefined && job.place < 0) this.#unread.add(job);
    if (this.#spare > 0) this.#give(job, this.#spare);
    this.settle(job);
    // An older one has come, out of a later batch: it goes first.
    if (oldest !== undefined && oldest !== this.#unread.first) this.settle(oldest);
  }

  /** A job may have more slots than it needs. */
  settle(job: Job): void {
    if (job.place >= 0 && job.message.moreAt === undefined) this.#unread.remove(job);
    const first = this.#unread.first;
    if (job !== first) {
      const { message } = job;
      const unused = Math.min(
        job.recipientSlots - job.recipients,
        message.recipientSlots - message.recipients,
      );
      if (unused > 0) this.#give(job, -unused);
    }
    if (first === undefined || this.#spare <= 0) return;
    this.#give(first, this.#spare);
    this.#gained(first);
  }

  /** The message is done: all that its job has comes back. */
  leave(job: Job): void {
    if (job.place >= 0) this.#unread.remove(job);
    this.#give(job, -job.recipientSlots);
    this.settle(job);
  }

  /** A job has preempted another, and is not wholly in memory. */
  lend(job: Job): void {
    const slots = Math.floor((this.#reserve + Math.min(this.#spare, 0) + 1) / 2);
    if (slots <= 0) return;
    this.#give(job, slots);
    this.#gained(job);
  }

  #give(job: Job, slots: number): void {
    job.recipientSlots += slots;
    job.message.recipientSlots += slots;
    this.#spare -= slots;
  }
}
