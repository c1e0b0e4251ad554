/**
 * Lookups that may take long, away from the event loop: an administrator's expression and a
 * sender's text can keep libc busy for years. A batch has a time limit. The library can't be
 * interrupted, so that a thread which is over it is given up, and with it, soon, the process.
 */
import { DeadlineError, withDeadline } from '../async/deadline.ts';
import { createPool, type Pool } from '../async/pool.ts';
import {
  inTrouble,
  type Listed,
  type Question,
  type Reply,
  type Task,
  tooSlow,
} from './lookup-work.ts';

export type { Listed, Question, Reply } from './lookup-work.ts';

export interface LookupThreadsOptions {
  readonly lists: readonly Listed[];
  /** How many at most; one batch is at work in each. */
  readonly threads: number;
  /** For one batch. */
  readonly limitMs: number;
  /** smtputf8_enable: tables are UTF-8. */
  readonly utf8: boolean;
  /** A thread is lost: the process should make room for one that has all of its threads. */
  readonly lost: () => void;
}

/** Between two keys the thread notices by itself that the time is up: no need to give it up. */
const GRACE_MS = 1000;

export class LookupThreads {
  readonly #options: LookupThreadsOptions;
  readonly #idle: Pool[] = [];
  readonly #waiting: ((pool: Pool | undefined) => void)[] = [];
  #alive = 0;

  /** Use `open`. */
  private constructor(options: LookupThreadsOptions) {
    this.#options = options;
  }

  /** Starts the threads, and has them open the tables: with the rights that we have now. */
  static async open(options: LookupThreadsOptions): Promise<LookupThreads> {
    const threads = new LookupThreads(options);
    const task: Task = { kind: 'open', lists: options.lists, utf8: options.utf8 };
    const pools = Array.from({ length: options.threads }, () => createPool('lookup', ONE));
    await Promise.all(pools.map((pool) => pool.run(task)));
    threads.#idle.push(...pools);
    threads.#alive = pools.length;
    return threads;
  }

  /** Answers all of them, in one go. What can't be answered has its `trouble`. */
  async ask(questions: readonly Question[]): Promise<readonly Reply[]> {
    const pool = await this.#free();
    if (pool === undefined) return questions.map((question) => this.#late(question));
    const progress = new Int32Array(new SharedArrayBuffer(4));
    const { limitMs } = this.#options;
    const task: Task = { kind: 'ask', questions, limitMs, progress };
    let lost = false;
    try {
      return await withDeadline(limitMs + GRACE_MS, undefined, () => pool.run<Reply[]>(task));
    } catch (error) {
      lost = error instanceof DeadlineError;
      if (!lost)
        return questions.map(() => inTrouble(`lookup thread: ${(error as Error).message}`));
      const culprit = questions[progress[0] ?? 0];
      return questions.map((question) => this.#late(culprit ?? question));
    } finally {
      if (lost) this.#giveUp(pool);
      else this.#handOn(pool);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.map((pool) => pool.close()));
  }

  #late(question: Question): Reply {
    return inTrouble(tooSlow(question, this.#options.limitMs));
  }

  #free(): Promise<Pool | undefined> {
    const pool = this.#idle.pop();
    if (pool !== undefined || this.#alive === 0) return Promise.resolve(pool);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #handOn(pool: Pool): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(pool);
    else next(pool);
  }

  #giveUp(pool: Pool): void {
    pool.abandon();
    this.#alive -= 1;
    this.#options.lost();
    if (this.#alive > 0) return;
    for (const wait of this.#waiting.splice(0)) wait(undefined);
  }
}

const ONE = { threads: 1 } as const;
