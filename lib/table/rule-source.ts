/** Where the rules of a pattern table come from: a file, or braces in its name. */
import { isUtf8 } from 'node:buffer';
import { printable } from '../log/printable.ts';
import { isBraced, splitItems, withoutBraces } from './braces.ts';
import { type TableContext, TableError, TableOpenError } from './definition.ts';
import { usesUtf8 } from './fold.ts';
import { openWatched, readSource, type WatchedFile } from './source-file.ts';
import {
  MEMORY_BYTES_MAX,
  printableBytes,
  type SourceLine,
  sourceLines,
  trimEnd,
} from './source-lines.ts';

export interface RuleSource {
  readonly lines: Iterable<SourceLine>;
  readonly file?: WatchedFile;
}

/** Opens `type:/file` or `type:{{rule}, {rule}}`. @throws {TableOpenError} */
export function openRules(type: string, name: string): RuleSource {
  if (name.startsWith('{')) return { lines: inlineRules(type, name) };
  const file = openWatched(name, 'open');
  try {
    return { lines: trimmedLines(readSource(file, MEMORY_BYTES_MAX)), file };
  } catch (error) {
    file.close();
    throw error;
  }
}

function* trimmedLines(bytes: Buffer): Generator<SourceLine> {
  for (const line of sourceLines(bytes)) yield { ...line, text: trimEnd(line.text) };
}

/** The rest would take memory that other programs need. */
export function tooManyRules(source: string, max: number): TableOpenError {
  return new TableOpenError(`${source}: more than ${max} rules, which is too many for memory`);
}

/** From a rule's result to what a lookup gets; `key` is what was asked for. */
export type ResultCheck = (answer: string, key: string) => string;

const asItIs: ResultCheck = (answer) => answer;

/**
 * A rule's result as lookups are to have it. A result that should be UTF-8, and is not, is trouble
 * when somebody asks for it, not before: without the rule others would decide.
 *
 * @returns what makes the result of the answer
 */
export function resultChecker(
  name: string,
  { utf8 }: SourceLine,
  context: TableContext,
): ResultCheck {
  if (utf8 || !usesUtf8(context)) return asItIs;
  return (answer, key) => {
    const bytes = Buffer.from(answer, 'latin1');
    if (isUtf8(bytes)) return bytes.toString();
    const shown = `key "${printable(key)}": non-UTF-8 value "${printableBytes(answer)}"`;
    context.log?.warn(`${name}: ${shown}: malformed UTF-8 or invalid codepoint`);
    throw new TableError(`table ${name}: query error`);
  };
}

function inlineRules(type: string, name: string): SourceLine[] {
  if (!isBraced(name)) throw new TableOpenError(`${type} map: missing '}' in "${name}"`);
  return splitItems(name.slice(1, -1)).map((item, index) => {
    if (!item.startsWith('{')) {
      throw new TableOpenError(`${type} map: no '{' at start of text in "${item}"`);
    }
    return { text: withoutBraces(item), line: index + 1, utf8: true };
  });
}
