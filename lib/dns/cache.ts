import { monotonic } from '../clock/clock.ts';

/** Answers by question, until their time is up; the oldest leaves when there are too many. */
export class AnswerCache<V> {
  readonly #entries = new Map<string, { readonly value: V; readonly until: number }>();
  readonly #entriesMax: number;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.until > monotonic()) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  set(key: string, value: V, seconds: number): void {
    if (seconds <= 0) return;
    this.#entries.delete(key);
    if (this.#entries.size >= this.#entriesMax) {
      const oldest = this.#entries.keys().next().value;
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    this.#entries.set(key, { value, until: monotonic() + seconds * 1000 });
  }
}
