/** Lines of notices end where Postfix's do, and go on four columns further right. */
const WIDTH = 79;
const INDENT = '    ';

/**
 * Breaks a text at blanks. Widths count bytes, as a terminal of 1990 did; a word that is too long
 * stays whole. Blanks at a break go, others stay.
 */
export function wrapLine(text: string, width = WIDTH): string[] {
  const bytes = Buffer.from(text, 'utf8');
  // Blanks are ASCII: one character a byte, no character of UTF-8 is ever cut.
  return wrapBytes(bytes.toString('latin1'), width).map((line) =>
    Buffer.from(line, 'latin1').toString(),
  );
}

function wrapBytes(text: string, width: number): string[] {
  const lines: string[] = [];
  let start = 0;
  let indent = '';
  for (let word = 0; ; ) {
    const end = endOfWord(text, word);
    if (word > start && end - start > width - indent.length) {
      lines.push(indent + text.slice(start, word).trimEnd());
      indent = INDENT;
      while (isBlank(text.charCodeAt(word))) word += 1;
      start = word;
    }
    if (end >= text.length) break;
    word = end + 1;
  }
  lines.push(indent + text.slice(start).trimEnd());
  return lines;
}

function endOfWord(text: string, from: number): number {
  let at = from;
  while (at < text.length && !isBlank(text.charCodeAt(at))) at += 1;
  return at;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
