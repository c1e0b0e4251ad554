/**
 * smtp_header_checks and their like: an administrator's rules for what leaves. They can change,
 * drop and add lines, and log; all else is for cleanup's checks to do. Postfix: header_checks(5).
 */
import { toText } from '../../lib/message/byte-string.ts';
import { parseAction } from '../../lib/message/check-action.ts';
import { CheckAnswers } from '../../lib/message/check-answers.ts';
import { CheckRoute, type CheckTables } from '../../lib/message/checks.ts';
import type { MimeEvent } from '../../lib/message/mime.ts';
import type { LookupThreads } from '../../lib/table/lookup-threads.ts';
import { TableError, type TableList } from '../../lib/table/table.ts';

/** A part of the message, or a line that a rule has put in front of one. */
export type CheckedEvent = MimeEvent | { readonly kind: 'prepended'; readonly text: string };

/** A table could not say what to do. */
export class ContentCheckError extends Error {
  override readonly name = 'ContentCheckError';
}

export interface ContentChecksOptions {
  readonly tables: CheckTables;
  /** For tables that may take long. */
  readonly threads: LookupThreads | undefined;
  info(text: string): void;
  warn(text: string): void;
}

type Checkable = MimeEvent & { readonly kind: 'header' | 'body' };

interface Question {
  readonly event: Checkable;
  readonly tables: TableList;
  readonly key: string;
}

const ACTIONS = /^\s*(?:WARN|INFO|REPLACE|PREPEND|STRIP|IGNORE|DUNNO|OK)(?:\s|$)/i;
/** So much of a line is logged. */
const LOGGED_LINE_MAX = 60;

/** The checks of one message. */
export class ContentChecks {
  readonly #options: ContentChecksOptions;
  readonly #route: CheckRoute;
  readonly #answers: CheckAnswers | undefined;

  constructor(options: ContentChecksOptions) {
    this.#options = options;
    this.#route = new CheckRoute(options.tables, Number.POSITIVE_INFINITY);
    const { threads } = options;
    this.#answers = threads && new CheckAnswers(threads, options);
  }

  /** Every line of the body is looked at. */
  get wantsBody(): boolean {
    return this.#options.tables.body !== undefined;
  }

  /** What is to be sent in place of these events. @throws {ContentCheckError} */
  async apply(events: readonly MimeEvent[]): Promise<readonly CheckedEvent[]> {
    const questions = events.map((event) => this.#questionFor(event));
    for (const question of questions) {
      if (question !== undefined) this.#answers?.want(question.tables, question.key);
    }
    await this.#answers?.fetch();
    const result: CheckedEvent[] = [];
    for (const [index, event] of events.entries()) {
      const question = questions[index];
      if (question === undefined) result.push(event);
      else result.push(...this.#obey(question, await this.#lookup(question)));
    }
    return result;
  }

  #questionFor(event: MimeEvent): Question | undefined {
    const tables = this.#route.tablesFor(event);
    if (tables === undefined || (event.kind !== 'header' && event.kind !== 'body'))
      return undefined;
    return { event, tables, key: toText(event.text) ?? event.text };
  }

  async #lookup({ tables, key }: Question): Promise<string | undefined> {
    try {
      const answers = this.#answers ?? { lookup: (list: TableList) => list.lookup(key) };
      return (await answers.lookup(tables, key))?.value;
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      throw new ContentCheckError(`${tables.parameter} lookup error`, { cause: error });
    }
  }

  #obey({ event, tables, key }: Question, value: string | undefined): readonly CheckedEvent[] {
    if (value === undefined) return [event];
    const { parameter } = tables;
    if (!ACTIONS.test(value)) {
      this.#options.warn(`unsupported command in ${parameter} map: ${value}`);
      return [event];
    }
    const action = parseAction(value, event.kind, parameter);
    const log = (text: string) => this.#log(action.kind, event.kind, key, text);
    switch (action.kind) {
      case 'invalid':
        this.#options.warn(action.warning);
        return [event];
      case 'ignore':
        return [];
      case 'strip':
        log(action.text);
        return [];
      case 'replace':
        log(action.text);
        return [{ ...event, text: byteString(action.text) }];
      case 'prepend':
        log(action.text);
        return [{ kind: 'prepended', text: byteString(action.text) }, event];
      case 'warning':
      case 'info':
        log(action.text);
        return [event];
      default:
        return [event];
    }
  }

  #log(action: string, part: string, line: string, text: string): void {
    const what = `${action}: ${part} ${line.slice(0, LOGGED_LINE_MAX)}`;
    this.#options.info(text === '' ? what : `${what}: ${text}`);
  }
}

function byteString(text: string): string {
  return Buffer.from(text).toString('latin1');
}
