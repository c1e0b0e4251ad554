/** What stands in a line knows where, so that it can leave or move without being searched for. */
export interface InLine {
  /** Set by the line only; -1 when it is in none. */
  place: number;
}

/**
 * Who is first: a heap. To join, to leave and to move cost the logarithm of how many there are,
 * and nothing when they come in order.
 */
export class Line<T extends InLine> {
  readonly #items: T[] = [];
  readonly #isBefore: (one: T, other: T) => boolean;

  constructor(isBefore: (one: T, other: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get length(): number {
    return this.#items.length;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    item.place = this.#items.length;
    this.#items.push(item);
    this.#up(item);
  }

  /** Takes one out, wherever it stands. */
  remove(item: T): void {
    const { place } = item;
    const last = this.#items.pop() as T;
    item.place = -1;
    if (last === item) return;
    this.#items[place] = last;
    last.place = place;
    this.moved(last);
  }

  /** What its place depends on has changed. */
  moved(item: T): void {
    this.#up(item);
    this.#down(item);
  }

  #up(item: T): void {
    for (let { place } = item; place > 0; place = item.place) {
      const above = this.#items[(place - 1) >> 1] as T;
      if (!this.#isBefore(item, above)) return;
      this.#swap(item, above);
    }
  }

  #down(item: T): void {
    for (;;) {
      const left = this.#items[item.place * 2 + 1];
      if (left === undefined) return;
      const right = this.#items[item.place * 2 + 2];
      const below = right !== undefined && this.#isBefore(right, left) ? right : left;
      if (!this.#isBefore(below, item)) return;
      this.#swap(below, item);
    }
  }

  /** @param rising goes to where the other one is */
  #swap(rising: T, sinking: T): void {
    const { place } = rising;
    rising.place = sinking.place;
    sinking.place = place;
    this.#items[rising.place] = rising;
    this.#items[place] = sinking;
  }
}
