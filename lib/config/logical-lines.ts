/** Logical lines: what main.cf, master.cf and the source files of tables are made of. */

export interface LogicalLine {
  /** Physical lines joined; their line ends are gone, their leading white space is not. */
  readonly text: string;
  /** The first physical line, counted from 1. */
  readonly line: number;
}

/**
 * Splits a file: a line that starts with white space continues the one before; empty lines and
 * lines whose first character that is not a blank is `#` are skipped, also in the middle.
 */
export function parseLogicalLines(file: string): LogicalLine[] {
  const lines: { text: string; line: number }[] = [];
  let number = 0;
  for (let start = 0; start < file.length; ) {
    let end = file.indexOf('\n', start);
    if (end < 0) end = file.length;
    number += 1;
    let first = start;
    while (first < end && isBlank(file.charCodeAt(first))) first += 1;
    if (first < end && file.charCodeAt(first) !== 0x23) {
      const text = file.slice(start, end);
      const last = lines.at(-1);
      if (first > start && last !== undefined) last.text += text;
      else lines.push({ text, line: number });
    }
    start = end + 1;
  }
  return lines;
}

function isBlank(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}
