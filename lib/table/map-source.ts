/** The source syntax of postmap: `key whitespace value`, one entry a logical line. */
import { isBlank, type SourceLine, skipBlanks, trimEnd } from './source-lines.ts';

export interface Entry {
  readonly key: string;
  readonly value: string;
}

/** An entry of a line, or what is wrong with it; an odd entry may come with a warning. */
export interface ParsedEntry {
  readonly entry?: Entry;
  readonly problem?: string;
}

/**
 * Takes one line apart. The key ends at the first white space outside double quotes; quotes and
 * backslashes stay part of it.
 */
export function parseMapLine({ text }: SourceLine): ParsedEntry {
  const end = endOfKey(text);
  if (end < 0) return { problem: `unbalanced '"' in '${text}' -- ignoring this line` };
  const key = text.slice(0, end);
  const value = trimEnd(text.slice(skipBlanks(text, end)));
  if (key === '' || value === '') return { problem: 'expected format: key whitespace value' };
  if (!key.endsWith(':')) return { entry: { key, value } };
  const problem = 'record is in "key: value" format; is this an alias file?';
  return { entry: { key, value }, problem };
}

/** @returns -1 when a quote is never closed */
function endOfKey(text: string): number {
  let quoted = false;
  let at = 0;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 92) at += 1;
    else if (code === 34) quoted = !quoted;
    else if (!quoted && isBlank(code)) break;
  }
  return quoted ? -1 : Math.min(at, text.length);
}
