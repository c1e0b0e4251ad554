import type { StatusChannel } from './status-channel.ts';
import type { Workload } from './workload.ts';

/** What a master of ours makes of this process. */
export interface SlotRules {
  /** There can be no other process: master need not hear that we are busy. */
  readonly alone?: boolean;
  /** Master divides maxproc, and wants to know what a process that leaves keeps of its share. */
  readonly shared?: boolean;
  /** Though there can be no other process, the next one need not wait until we have finished. */
  readonly overlaps?: boolean;
}

/**
 * How many clients a process serves at the same time, and what master is told of it. Under a
 * master of ours a process has a share of maxproc: it says how large when it starts, then each
 * change between full and not full, and when it is idle. When it is about to leave, and only
 * finishes the clients it has, it says how many those are, as a negative number less one: others
 * may have the rest of its share. While it has more to do than one processor can (workload.ts), it
 * asks for another process beside it. Under Postfix's there is one slot: *taken* and *available* are
 * the same messages.
 */
export class Slots {
  readonly total: number;
  readonly #channel: StatusChannel;
  readonly #rules: SlotRules;
  readonly #workload: Pick<Workload, 'start' | 'stop'> | undefined;
  #used = 0;
  #proved = false;
  #retired = false;

  /** @param workload watched while there are clients; `undefined`: there can be no other process */
  constructor(
    total: number,
    channel: StatusChannel,
    rules: SlotRules = {},
    workload?: Pick<Workload, 'start' | 'stop'>,
  ) {
    this.total = total;
    this.#channel = channel;
    this.#rules = rules;
    this.#workload = workload;
  }

  get used(): number {
    return this.#used;
  }

  get free(): number {
    return this.total - this.#used;
  }

  take(): void {
    this.#used += 1;
    if (this.#used === 1) this.#workload?.start();
    if (this.#retired) this.#reportRest();
    else if (this.free === 0 && !this.#rules.alone) this.#channel.report(0);
  }

  /** No more clients will be taken. */
  retire(): void {
    const { shared, alone, overlaps } = this.#rules;
    if (this.#retired || !shared || (alone && !overlaps)) return;
    this.#retired = true;
    this.#reportRest();
  }

  /** *Taken* and *available* for a server that is never full: it has done some work. */
  proveUseful(): void {
    this.#channel.report(0);
    this.#channel.report(this.total);
  }

  release(): void {
    const wasFull = this.free === 0;
    this.#used -= 1;
    if (this.#used === 0) this.#workload?.stop();
    if (this.#retired) {
      this.#reportRest();
    } else if (this.#rules.alone) {
      if (!this.#proved) this.proveUseful();
    } else if (wasFull || this.#used === 0 || !this.#proved) {
      this.#channel.report(this.free);
    }
    // From the first client that was served master knows that the program works.
    this.#proved = true;
  }

  #reportRest(): void {
    this.#channel.report(-1 - this.#used);
  }
}
