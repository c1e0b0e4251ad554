/** Bounded concurrency: so many at once, the others wait in their order. */
export class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(slots: number) {
    if (!(slots >= 1)) throw new RangeError(`A gate needs a slot; this one has ${slots}`);
    this.#free = slots;
  }

  /** How many may enter without waiting. */
  get free(): number {
    return this.#free;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Waits for a slot. Whoever entered leaves, whatever happens. */
  enter(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Gives the slot to the one who has waited longest. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }

  /** Does `action` inside the gate. */
  async through<T>(action: () => Promise<T>): Promise<T> {
    await this.enter();
    try {
      return await action();
    } finally {
      this.leave();
    }
  }
}
