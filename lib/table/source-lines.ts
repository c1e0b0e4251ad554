/** The lines of a table's source text: continuations joined, blank lines and comments gone. */
import { isUtf8 } from 'node:buffer';

/** What we read of one source file at most (security: bounded input). */
export const SOURCE_BYTES_MAX = 256 * 1024 * 1024;
/** The same of a file whose entries stay in memory, where they take some ten times as much. */
export const MEMORY_BYTES_MAX = 128 * 1024 * 1024;

/** One logical line. */
export interface SourceLine {
  readonly text: string;
  /** Where it starts, counted from 1. */
  readonly line: number;
  /** False: the line is not UTF-8, and `text` has one character for each byte. */
  readonly utf8: boolean;
}

/**
 * Splits source bytes into logical lines. A line that starts with white space continues the one
 * before it; the line break goes, the blanks stay. Empty lines and comments count for neither.
 */
export function* sourceLines(bytes: Buffer): Generator<SourceLine> {
  // latin1 keeps every byte, so a line that is not UTF-8 does not spoil the others.
  const clean = isUtf8(bytes);
  const text = bytes.toString(clean ? 'utf8' : 'latin1');
  let logical: string | undefined;
  let first = 0;
  let line = 0;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const physical = text.slice(start, end);
    start = end + 1;
    line += 1;
    if (isBlankOrComment(physical)) continue;
    if (logical !== undefined && isBlank(physical.charCodeAt(0))) {
      logical += physical;
      continue;
    }
    if (logical !== undefined) yield finish(logical, first, clean);
    logical = physical;
    first = line;
  }
  if (logical !== undefined) yield finish(logical, first, clean);
}

function finish(logical: string, line: number, clean: boolean): SourceLine {
  // What follows a NUL byte was never seen by any table: C strings end there.
  const nul = logical.indexOf('\0');
  const text = nul < 0 ? logical : logical.slice(0, nul);
  if (clean) return { text, line, utf8: true };
  const bytes = Buffer.from(text, 'latin1');
  return isUtf8(bytes) ? { text: bytes.toString(), line, utf8: true } : { text, line, utf8: false };
}

/** Space, and tab to carriage return: isspace(3). */
export function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

function isBlankOrComment(text: string): boolean {
  const at = skipBlanks(text, 0);
  return at === text.length || text.charCodeAt(at) === 35;
}

/** The first offset from `at` on that is not white space. */
export function skipBlanks(text: string, at: number): number {
  let offset = at;
  while (offset < text.length && isBlank(text.charCodeAt(offset))) offset += 1;
  return offset;
}

/** The first offset from `at` on that is white space, or the end. */
export function skipWord(text: string, at: number): number {
  let offset = at;
  while (offset < text.length && !isBlank(text.charCodeAt(offset))) offset += 1;
  return offset;
}

/** Without white space at the end. */
export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

/** Without white space at both ends. */
export function trim(text: string): string {
  return trimEnd(text.slice(skipBlanks(text, 0)));
}

/** Bytes that are no text, made fit for a message. */
export function printableBytes(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
