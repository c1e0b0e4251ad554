/**
 * Answers of check tables, fetched for many lines at once: from threads when a table may take long,
 * so that nobody but this message waits for a pattern.
 */
import { LookupThreads, type Question, type Reply } from '../table/lookup-threads.ts';
import { type Found, TableError, type TableList } from '../table/table.ts';

/** Threads for those of the tables that may take long; `undefined` when none does. */
export async function openCheckThreads(
  lists: readonly (TableList | undefined)[],
  options: {
    readonly slots: number;
    readonly configuration: { text(name: string): string; get(name: 'pattern_time_limit'): number };
    readonly lost: () => void;
  },
): Promise<LookupThreads | undefined> {
  const slow = lists.filter((list): list is TableList => list?.mayStall === true);
  if (slow.length === 0) return undefined;
  const { configuration, slots, lost } = options;
  return LookupThreads.open({
    lists: slow.map(({ parameter }) => ({ parameter, tables: configuration.text(parameter) })),
    threads: Math.min(slots, THREADS_MAX),
    limitMs: configuration.get('pattern_time_limit') * 1000,
    utf8: configuration.text('smtputf8_enable') === 'yes',
    lost,
  });
}

/** Two, so that one message that takes its time does not hold up all others. */
const THREADS_MAX = 2;

/** The answers for one message. */
export class CheckAnswers {
  readonly #threads: LookupThreads;
  readonly #log: { warn(text: string): void };
  readonly #questions = new Map<string, Question>();
  #replies: ReadonlyMap<string, Reply> = new Map();

  constructor(threads: LookupThreads, log: { warn(text: string): void }) {
    this.#threads = threads;
    this.#log = log;
  }

  /** This key will be looked up. */
  want(tables: TableList, key: string): void {
    if (!tables.mayStall || key === '') return;
    const { parameter } = tables;
    this.#questions.set(nameOf(parameter, key), { parameter, key });
  }

  /** Asks for all that is wanted; what was fetched before is forgotten. */
  async fetch(): Promise<void> {
    const names = [...this.#questions.keys()];
    const questions = [...this.#questions.values()];
    this.#questions.clear();
    const replies = questions.length === 0 ? [] : await this.#threads.ask(questions);
    this.#replies = new Map(names.map((name, index) => [name, replies[index]]));
  }

  /** The answer for one key. @throws {TableError} logged */
  async lookup(tables: TableList, key: string): Promise<Found | undefined> {
    if (!tables.mayStall || key === '') return tables.lookup(key);
    const name = nameOf(tables.parameter, key);
    if (!this.#replies.has(name)) {
      this.want(tables, key);
      await this.fetch();
    }
    const reply = this.#replies.get(name);
    for (const warning of reply?.warnings ?? []) this.#log.warn(warning);
    if (reply?.trouble !== undefined) throw new TableError(reply.trouble);
    return reply?.found;
  }
}

function nameOf(parameter: string, key: string): string {
  return `${parameter} ${key}`;
}
