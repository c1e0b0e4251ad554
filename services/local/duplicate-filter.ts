/** Remembers what has been done, so that nobody gets a message twice. */
export class DuplicateFilter {
  readonly #limit: number;
  readonly #seen = new Set<string>();

  /** @param limit duplicate_filter_limit; beyond it nothing more is remembered; 0 is no limit */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether it was there before; now it is, whatever its case. */
  isRepeated(...words: readonly (string | number)[]): boolean {
    const key = words.join('\0').toLowerCase();
    if (this.#seen.has(key)) return true;
    if (this.#limit === 0 || this.#seen.size < this.#limit) this.#seen.add(key);
    return false;
  }

  has(...words: readonly (string | number)[]): boolean {
    return this.#seen.has(words.join('\0').toLowerCase());
  }
}
