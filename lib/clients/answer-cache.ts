import { monotonic } from '../clock/clock.ts';

interface Entry<T> {
  readonly answer: Promise<T>;
  readonly expiresAt: number;
}

/**
 * Answers of a service for a short while, by question. Whoever asks while the same question is
 * under way waits for that answer; one that fails is forgotten.
 */
export class AnswerCache<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #lifeMs: number;
  readonly #entriesMax: number;

  constructor(lifeMs: number, entriesMax: number) {
    this.#lifeMs = lifeMs;
    this.#entriesMax = entriesMax;
  }

  get(question: string, ask: () => Promise<T>): Promise<T> {
    const now = monotonic();
    const known = this.#entries.get(question);
    if (known !== undefined && now < known.expiresAt) return known.answer;
    const answer = ask();
    const entry = { answer, expiresAt: now + this.#lifeMs };
    this.#entries.delete(question);
    if (this.#entries.size >= this.#entriesMax) this.#dropOldest();
    this.#entries.set(question, entry);
    answer.catch(() => {
      if (this.#entries.get(question) === entry) this.#entries.delete(question);
    });
    return answer;
  }

  clear(): void {
    this.#entries.clear();
  }

  #dropOldest(): void {
    const { value } = this.#entries.keys().next();
    if (value !== undefined) this.#entries.delete(value);
  }
}
