import type { StatusChannel } from './status-channel.ts';

/**
 * How many clients a process serves at the same time, and what master is told of it. Under a
 * master of ours a process has a share of maxproc: it says how large when it starts, then each
 * change between full and not full, and when it is idle. Under Postfix's there is one slot:
 * *taken* and *available* are the same messages.
 */
export class Slots {
  readonly total: number;
  readonly #channel: StatusChannel;
  /** There can be no other process: a master of ours need not hear that we are busy. */
  readonly #alone: boolean;
  #used = 0;
  #proved = false;

  constructor(total: number, channel: StatusChannel, alone = false) {
    this.total = total;
    this.#channel = channel;
    this.#alone = alone;
  }

  get used(): number {
    return this.#used;
  }

  get free(): number {
    return this.total - this.#used;
  }

  take(): void {
    this.#used += 1;
    if (this.free === 0 && !this.#alone) this.#channel.report(0);
  }

  /** *Taken* and *available* for a server that is never full: it has done some work. */
  proveUseful(): void {
    this.#channel.report(0);
    this.#channel.report(this.total);
  }

  release(): void {
    const wasFull = this.free === 0;
    this.#used -= 1;
    if (this.#alone) {
      if (!this.#proved) this.proveUseful();
    } else if (wasFull || this.#used === 0 || !this.#proved) {
      this.#channel.report(this.free);
    }
    // From the first client that was served master knows that the program works.
    this.#proved = true;
  }
}
