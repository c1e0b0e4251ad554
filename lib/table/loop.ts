/** Entries of tables that lead back to where they began, told to whoever mends the tables. */
import { entryLine, placeAt } from './place.ts';

/** One step: a name was looked up, and that entry led on. */
export interface LoopStep {
  readonly name: string;
  /** `hash:/etc/aliases` */
  readonly table: string;
  readonly key: string;
  /** Where the entry stands, when the table knows that itself. */
  readonly line?: number | undefined;
}

/** A longer way is told without its middle. */
const NAMES_TOLD = 10;
/** A larger source is not searched for a line: the process has others to serve. */
const SEARCHED_BYTES_MAX = 4 * 1024 * 1024;

/**
 * `one -> two -> one; see hash:/etc/aliases, line 7`: the entry that leads back.
 *
 * @param end what the last step led to: the first one's name, or as far as somebody went
 */
export function describeLoop(steps: readonly LoopStep[], end: string): string {
  const names = [...steps.map(({ name }) => name), end];
  const middle = Math.max(0, names.length - NAMES_TOLD);
  if (middle > 0) names.splice(NAMES_TOLD / 2, middle, '...');
  const last = steps.at(-1);
  return names.join(' -> ') + (last === undefined ? '' : `; see ${placeOf(last)}`);
}

function placeOf({ table, key, line }: LoopStep): string {
  return placeAt(table, line ?? entryLine(table, key, SEARCHED_BYTES_MAX));
}
