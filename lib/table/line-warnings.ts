/** What is wrong with the lines of a table's source: said of so many, then counted. */
import type { TableContext } from './definition.ts';

/** Who has more has the wrong file: the log need not have all of it. */
const WARNINGS_MAX = 1000;

export class LineWarnings {
  readonly #context: TableContext;
  readonly #source: string;
  #count = 0;

  /** `source` begins the warnings: `cidr map /etc/postfix/access`. */
  constructor(source: string, context: TableContext) {
    this.#source = source;
    this.#context = context;
  }

  add(line: number, text: string): void {
    this.addWhole(`${this.#source}, line ${line}: ${text}`);
  }

  /** One that names its place itself. */
  addWhole(text: string): void {
    this.#count += 1;
    if (this.#count <= WARNINGS_MAX) this.#context.log?.warn(text);
  }

  /** All has been read. */
  end(): void {
    const more = this.#count - WARNINGS_MAX;
    if (more > 0) this.#context.log?.warn(`${this.#source}: and ${more} more such warnings`);
  }
}
