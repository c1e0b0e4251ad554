import { after, type Timer } from '../clock/clock.ts';

export interface LifetimeLimits {
  /** Leave after so long without a client; 0 stays. */
  readonly idleMs: number;
  /** Leave after so many clients; 0 stays. */
  readonly useMax: number;
  /** Once it is used so often: leave after so long without a client. */
  readonly usedIdleMs: number;
}

/** Why a process leaves: nobody comes, it was used often enough, a table is new, master is gone. */
export type LeaveReason = 'idle' | 'used' | 'tables' | 'master';

/**
 * When a process leaves: idle for too long, used often enough, or told to. It always finishes the
 * clients it has. One that is used often enough goes on while it is busy: the next would need thousands
 * of clients to become as fast, because V8 compiles what it sees is hot.
 */
export class Lifetime {
  readonly #limits: LifetimeLimits;
  readonly #onLeaving: (why: LeaveReason) => void;
  readonly #onLeave: () => void;
  #clients = 0;
  #uses = 0;
  #leaving = false;
  #idle: Timer | undefined;

  /**
   * @param onLeaving called once, when no new client is to be taken
   * @param onLeave called once after that, when no client is left
   */
  constructor(limits: LifetimeLimits, onLeaving: (why: LeaveReason) => void, onLeave: () => void) {
    this.#limits = limits;
    this.#onLeaving = onLeaving;
    this.#onLeave = onLeave;
  }

  get isLeaving(): boolean {
    return this.#leaving;
  }

  /** The first clients may come. */
  start(): void {
    this.#watchIdle();
  }

  /** A client has come. */
  begin(): void {
    this.hold();
    this.#uses += 1;
  }

  /** There is something to do that is no client: not idle. */
  hold(): void {
    this.#clients += 1;
    this.#idle?.stop();
    this.#idle = undefined;
  }

  /** A client has gone, or what we were held for is done. */
  end(): void {
    this.#clients -= 1;
    if (this.#clients > 0) return;
    if (this.#leaving) this.#onLeave();
    else this.#watchIdle();
  }

  /** Takes nothing new, and leaves when the clients are done: now, if there are none. */
  leave(why: LeaveReason): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#idle?.stop();
    this.#onLeaving(why);
    if (this.#clients === 0) this.#onLeave();
  }

  #watchIdle(): void {
    if (this.#leaving) return;
    const { idleMs, useMax, usedIdleMs } = this.#limits;
    if (useMax > 0 && this.#uses >= useMax) {
      if (usedIdleMs === 0) this.leave('used');
      else this.#idle = after(usedIdleMs, () => this.leave('used'));
    } else if (idleMs > 0) {
      this.#idle = after(idleMs, () => this.leave('idle'));
    }
  }
}
