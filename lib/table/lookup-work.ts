/** What a thread does that lookups are left to: opens tables once, and then answers. */
import { monotonic } from '../clock/clock.ts';
import { TableError } from './definition.ts';
import { openTables } from './table.ts';
import type { Found, TableList } from './table-list.ts';

/** One key, for the tables of one parameter. */
export interface Question {
  readonly parameter: string;
  readonly key: string;
}

/** What is known of one key; `undefined` when the tables had nothing to say about it. */
export type Reply =
  | {
      readonly found?: Found;
      /** The answer can't be known now: why. */
      readonly trouble?: string;
      /** What there is to be logged, as often as the answer is used. */
      readonly warnings: readonly string[];
    }
  | undefined;

/** The tables of one parameter, as main.cf has them. */
export interface Listed {
  readonly parameter: string;
  readonly tables: string;
  /** As in a table's context. */
  readonly substitution?: boolean | undefined;
  readonly fold?: boolean | undefined;
}

export type Task =
  | { readonly kind: 'open'; readonly lists: readonly Listed[]; readonly utf8: boolean }
  | {
      readonly kind: 'ask';
      readonly questions: readonly Question[];
      readonly limitMs: number;
      /** Shared: which question is being answered. */
      readonly progress: Int32Array;
    };

/** The tables of one thread. */
export class LookupWork {
  #lists: ReadonlyMap<string, TableList> = new Map();
  #warnings: string[] = [];

  async do(task: Task): Promise<readonly Reply[]> {
    if (task.kind === 'open') this.#open(task.lists, task.utf8);
    else return this.#answer(task.questions, task.limitMs, task.progress);
    return [];
  }

  /** What is wrong with the tables the main thread has said: it has opened them, too. */
  #open(lists: readonly Listed[], utf8: boolean): void {
    const note = (text: string) => void this.#warnings.push(text);
    const context = { utf8, log: { warn: note, error: note } };
    this.#lists = new Map(
      lists.map(({ parameter, tables, substitution = true, fold = true }) => [
        parameter,
        openTables(tables, { ...context, parameter, substitution, fold }),
      ]),
    );
  }

  async #answer(
    questions: readonly Question[],
    limitMs: number,
    progress: Int32Array,
  ): Promise<Reply[]> {
    const end = monotonic() + limitMs;
    const replies: Reply[] = [];
    for (const [index, question] of questions.entries()) {
      progress[0] = index;
      if (monotonic() > end) {
        replies.push(inTrouble(tooSlow(question, limitMs)));
      } else {
        replies.push(await this.#reply(question));
      }
    }
    return replies;
  }

  async #reply({ parameter, key }: Question): Promise<Reply> {
    this.#warnings = [];
    try {
      const found = await this.#lists.get(parameter)?.lookup(key);
      const warnings = this.#warnings;
      return found === undefined && warnings.length === 0 ? undefined : { found, warnings };
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      return { trouble: error.message, warnings: this.#warnings };
    }
  }
}

/** No answer, for a reason that nobody has logged. */
export function inTrouble(reason: string): Reply {
  return { trouble: reason, warnings: [reason] };
}

/** For the log: which tables, and which text brought them to it. */
export function tooSlow({ parameter, key }: Question, limitMs: number): string {
  const text = key.length > SHOWN_MAX ? `${key.slice(0, SHOWN_MAX)}...` : key;
  const limit = `pattern_time_limit is ${limitMs / 1000}s`;
  return `${parameter}: no answer in time for "${text}" (${limit}): simplify its patterns`;
}

const SHOWN_MAX = 100;
