import type { Feedback, TransportLimits } from './settings.ts';

/**
 * How many deliveries one destination may have at once: it grows while deliveries succeed and
 * shrinks when the destination refuses to talk to us. Pure. Postfix: SCHEDULER_README.
 *
 * Feedback adds up in fractions; a whole unit moves the window by one. A pseudo-cohort is as many
 * failures in a row as the window is wide: after so many cohorts the destination is dead.
 */
export class Concurrency {
  #window: number;
  #gain = 0;
  #loss = 0;
  #failedCohorts = 0;
  readonly #limits: TransportLimits;

  constructor(limits: TransportLimits) {
    this.#limits = limits;
    const { concurrency, initialConcurrency } = limits;
    this.#window = concurrency > 0 ? Math.min(initialConcurrency, concurrency) : initialConcurrency;
  }

  /** Deliveries at once. */
  get window(): number {
    return this.#window;
  }

  /** The destination talked to us. @param busy other deliveries to it at this moment */
  succeeded(busy: number): void {
    this.#failedCohorts = 0;
    const { concurrency, initialConcurrency, positiveFeedback } = this.#limits;
    // A window that is not used says nothing about what the destination can take.
    if (this.#window >= busy + initialConcurrency) return;
    if (concurrency > 0 && this.#window >= concurrency) return;
    const step = this.#step(positiveFeedback);
    this.#gain += step;
    while (this.#gain + step / 2 >= 1) {
      this.#window += 1;
      this.#gain -= 1;
      this.#loss = 0;
    }
    if (concurrency > 0) this.#window = Math.min(this.#window, concurrency);
  }

  /** The destination did not. @returns true when it is dead now */
  failed(): boolean {
    const { failedCohorts, negativeFeedback } = this.#limits;
    if (failedCohorts > 0) {
      this.#failedCohorts += 1 / this.#window;
      // Thirds do not add up to one exactly.
      if (this.#failedCohorts + 1e-9 >= failedCohorts) return true;
    }
    const step = this.#step(negativeFeedback);
    this.#loss += step;
    while (this.#loss + step / 2 >= 1) {
      this.#window = Math.max(1, this.#window - 1);
      this.#loss -= 1;
      this.#gain = 0;
    }
    return false;
  }

  #step({ factor, per }: Feedback): number {
    if (per === 'delivery') return factor;
    return per === 'concurrency' ? factor / this.#window : factor / Math.sqrt(this.#window);
  }
}
