/**
 * Recipients that were seen before, whatever their case. It learns only so many: behind that,
 * duplicates get through.
 */
export class DuplicateFilter {
  readonly #seen = new Set<string>();
  readonly #limit: number;

  /** @param limit duplicate_filter_limit; 0 is none */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether this is the first time. */
  isNew(key: string): boolean {
    const folded = key.toLowerCase();
    if (this.#seen.has(folded)) return false;
    if (this.#limit === 0 || this.#seen.size < this.#limit) this.#seen.add(folded);
    return true;
  }

  /** It may come again. */
  forget(key: string): void {
    this.#seen.delete(key.toLowerCase());
  }
}
