/**
 * What was said in a session, for postmaster: kept until it turns out whether anything happened that
 * `notify_classes` has. Pure.
 */
import { splitList } from '../../lib/config/list.ts';
import { wrapLine } from '../../lib/dsn/wrap.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { printable } from '../../lib/log/printable.ts';
import type { Line } from './command-input.ts';
import { withoutSecrets } from './secrets.ts';

/** What may have gone wrong: the words of notify_classes that are about clients. */
export type ErrorClass = 'bounce' | 'policy' | 'protocol' | 'resource' | 'software';

/** All of its words; the others are for qmgr and bounce. */
const WORDS: ReadonlySet<string> = new Set([
  ...['2bounce', 'bounce', 'data', 'delay', 'policy', 'protocol', 'resource', 'software'],
]);

/** Columns, behind a blank. */
const WIDTH = 78;
/** A client that talks and talks is not remembered any further. */
const BYTES_MAX = 100_000;

/** @throws {FatalError} for a word that is none */
export function parseNotifyClasses(text: string): ReadonlySet<string> {
  const words = splitList(text);
  const unknown = words.find((word) => !WORDS.has(word));
  if (unknown === undefined) return new Set(words);
  throw new FatalError(`unknown notify_classes value "${unknown}" in "${text}"`);
}

/** Replies that are about something else than what the client may and may not; the first counts. */
const CLASSES: readonly (readonly [pattern: RegExp, found: ErrorClass])[] = [
  [/^4\d\d 4\.3\.5 Server configuration error/, 'software'],
  [/^4\d\d 4\.3\.0 (?:<.*>: )?Temporary lookup (?:failure|error)/, 'resource'],
  [/^452 4\.3\.1 /, 'resource'],
  [/^451 4\.3\.0 Error: queue file write error/, 'resource'],
  [/^421 4\.3\.0 \S+ Server local data error/, 'resource'],
  [/^451 4\.3\.0 Error: internal error/, 'software'],
  [/^552 5\.3\.4 Error: message file too big/, 'bounce'],
  [/^554 5\.4\.0 Error: too many hops/, 'bounce'],
  [/^[45]\d\d [45]\.1\.[01] <.*>: (?:Recipient|Sender) address rejected: User unknown/, 'bounce'],
  [/^50[0-4] |^50\d 5\.5\.|^555 |^521 5\.5\.|^554 5\.5\.|^501 5\.1\./, 'protocol'],
  [/^421 4\.7\.0 \S+ Error: too many errors/, 'protocol'],
];

/** Who says a line. */
const CLIENT = 'In:  ';
const SERVER = 'Out: ';
/** A password may follow. */
const AUTH = /^In:\s+AUTH\b/i;
/** `550 ` */
const REPLY_CODE_LENGTH = 4;

/** `5.7.1`: of all refusals most by far are of this kind. */
const POLICY_CODE = '5.7.';

/** What a refusal is about. */
export function classOf(reply: string): ErrorClass {
  if (reply.startsWith(POLICY_CODE, REPLY_CODE_LENGTH)) return 'policy';
  return CLASSES.find(([pattern]) => pattern.test(reply))?.[1] ?? 'policy';
}

export class Transcript {
  readonly #lines: string[] = [];
  readonly #classes = new Set<ErrorClass>();
  #bytes = 0;
  #reason = '';

  get lineCount(): number {
    return this.#lines.length;
  }

  /** What has gone wrong so far. */
  get classes(): ReadonlySet<ErrorClass> {
    return this.#classes;
  }

  /** A line of the client's; not its answer to a question, which may be its password. */
  heard({ text, isUtf8 }: Pick<Line, 'text' | 'isUtf8'>): void {
    this.#add(CLIENT, isUtf8 ? text : text.replace(/[^\0-\x7f]/g, '?'));
  }

  said(lines: readonly string[]): void {
    for (const line of lines) this.#add(SERVER, line);
    const [first = ''] = lines;
    const code = first.charCodeAt(0);
    if (code === FOUR || code === FIVE) this.note(first);
  }

  /** Something was refused, or would have been. */
  note(reply: string): void {
    this.#classes.add(classOf(reply));
  }

  /** A message was taken: what the client did wrong before is forgotten. */
  forgive(): void {
    this.#classes.clear();
  }

  /** The session ends too soon: `lost connection`. */
  aborted(reason: string): void {
    this.#reason = reason;
  }

  /** It has been told; what follows is another story. */
  clear(): void {
    this.#lines.length = 0;
    this.#bytes = 0;
    this.#classes.clear();
  }

  /** The body of a notice. */
  format(): string[] {
    return [
      'Transcript of session follows.',
      '',
      ...this.#lines
        .flatMap((line) => wrapLine(printable(shown(line)), WIDTH))
        .map((line) => ` ${line}`),
      '',
      ...(this.#reason === '' ? [] : [`Session aborted, reason: ${this.#reason}`]),
      '',
      'For other details, see the local mail logfile',
    ];
  }

  #add(who: string, line: string): void {
    this.#bytes += line.length;
    if (this.#bytes <= BYTES_MAX) this.#lines.push(who + line);
  }
}

function shown(line: string): string {
  return AUTH.test(line) ? `${CLIENT}${withoutSecrets('', line.slice(CLIENT.length))}` : line;
}

const FOUR = '4'.charCodeAt(0);
const FIVE = '5'.charCodeAt(0);
