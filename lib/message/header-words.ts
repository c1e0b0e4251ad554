/**
 * The words of a structured MIME header: tokens, quoted strings, single characters. Comments go.
 * RFC 2045 5.1; pure.
 */

export interface HeaderWord {
  readonly kind: 'token' | 'quoted' | 'special';
  readonly text: string;
}

/** RFC 2045 tspecials and the dot's company of RFC 822; what ends a token. */
const SPECIALS = new Set('()<>@,;:\\"/[]?=');

/** More words than any honest header has; the rest is not looked at. */
export const WORD_LIMIT = 1000;

/**
 * Reads words until `stop` (which is passed over) or the end, at most `limit`; further ones are
 * skipped.
 */
export function readWords(
  text: string,
  start: number,
  stop: string,
  limit: number,
): { words: HeaderWord[]; next: number } {
  const words: HeaderWord[] = [];
  let at = start;
  while (at < text.length) {
    const character = text.charAt(at);
    if (character === stop) return { words, next: at + 1 };
    if (/\s/.test(character)) {
      at += 1;
    } else if (character === '(') {
      at = skipComment(text, at);
    } else {
      const [word, next] = readWord(text, at, character);
      if (words.length < limit) words.push(word);
      at = next;
    }
  }
  return { words, next: text.length };
}

function readWord(text: string, start: number, character: string): [HeaderWord, number] {
  if (character === '"') return readQuoted(text, start + 1);
  if (SPECIALS.has(character)) return [{ kind: 'special', text: character }, start + 1];
  let end = start + 1;
  while (end < text.length && !/\s/.test(text.charAt(end)) && !SPECIALS.has(text.charAt(end))) {
    end += 1;
  }
  return [{ kind: 'token', text: text.slice(start, end) }, end];
}

function readQuoted(text: string, start: number): [HeaderWord, number] {
  let value = '';
  let at = start;
  for (; at < text.length && text.charAt(at) !== '"'; at += 1) {
    if (text.charAt(at) === '\n') continue; // a fold
    if (text.charAt(at) === '\\') at += 1;
    value += text.charAt(at);
  }
  return [{ kind: 'quoted', text: value }, at + 1];
}

function skipComment(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\') at += 1;
    else if (character === '(') depth += 1;
    else if (character === ')') {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return text.length;
}
