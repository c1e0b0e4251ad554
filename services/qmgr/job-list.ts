import type { Job } from './message.ts';

/** Between the ranks of two neighbours: room for others in front of the second one. */
const GAP = 2 ** 20;

/**
 * The jobs of a transport that have something to deliver, in the order in which they get agents:
 * oldest message first, but a job that preempts another stands in front of it. Ranks tell the
 * order of two jobs without a walk.
 */
export class JobList {
  #first: Job | undefined;
  #last: Job | undefined;

  /** Adds a job by the age of its message, behind those that stand in front of somebody. */
  add(job: Job): void {
    let before = this.#last;
    while (
      before !== undefined &&
      (before.preempts !== undefined || before.message.sequence > job.message.sequence)
    ) {
      before = before.before;
    }
    this.#insert(job, before);
  }

  /** Puts a job in front of another. */
  putBefore(job: Job, other: Job): void {
    this.remove(job);
    this.#insert(job, other.before);
  }

  remove(job: Job): void {
    const { before, behind } = job;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    job.before = undefined;
    job.behind = undefined;
  }

  #insert(job: Job, before: Job | undefined): void {
    const behind = before === undefined ? this.#first : before.behind;
    job.before = before;
    job.behind = behind;
    if (before === undefined) this.#first = job;
    else before.behind = job;
    if (behind === undefined) this.#last = job;
    else behind.before = job;
    const low = before?.rank ?? (behind?.rank ?? 0) - 2 * GAP;
    const high = behind?.rank ?? low + 2 * GAP;
    job.rank = (low + high) / 2;
    if (job.rank <= low || job.rank >= high) this.#renumber();
  }

  /** Nobody changes places. */
  #renumber(): void {
    let rank = 0;
    for (let job = this.#first; job !== undefined; job = job.behind) {
      rank += GAP;
      job.rank = rank;
    }
  }
}
