/**
 * The words of an aliases line, RFC 822 style: atoms, quoted strings, comments, domain literals and
 * operators. This library knows no mail, and needs no more of RFC 822 than to print it again.
 */
import { isBlank } from './source-lines.ts';

export type AliasWord =
  | { readonly kind: 'atom' | 'quoted' | 'comment' | 'literal'; readonly text: string }
  | { readonly kind: 'operator'; readonly text: string };

const OPERATORS = '|"(),.:;<>@[]%!\\';
/** What an atom may not hold: it is printed as a quoted string then. */
const NOT_ATOM = /[\x00-\x20\x7f|"(),.:;<>@[\]%!\\]/;
const ESCAPED = /["\\\r\n]/g;

/** Splits text into words. What is never closed ends with the text. */
export function aliasWords(text: string): AliasWord[] {
  const words: AliasWord[] = [];
  for (let at = 0; at < text.length; ) {
    const character = text.charAt(at);
    if (isBlank(text.charCodeAt(at))) at += 1;
    else if (character === '"') at = enclosed(text, at, '"', 'quoted', words);
    else if (character === '[') at = enclosed(text, at, ']', 'literal', words);
    else if (character === '(') at = comment(text, at, words);
    else if (character !== '\\' && OPERATORS.includes(character)) {
      words.push({ kind: 'operator', text: character });
      at += 1;
    } else at = atom(text, at, words);
  }
  return words;
}

function enclosed(
  text: string,
  from: number,
  closing: string,
  kind: 'quoted' | 'literal',
  words: AliasWord[],
): number {
  let value = '';
  let at = from + 1;
  for (; at < text.length && text.charAt(at) !== closing; at += 1) {
    if (text.charAt(at) === '\\') at += 1;
    value += text.charAt(at);
  }
  words.push({ kind, text: value });
  return at + 1;
}

/** Comments nest, and are kept as they are. */
function comment(text: string, from: number, words: AliasWord[]): number {
  let depth = 0;
  let at = from;
  for (; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\') at += 1;
    else if (character === '(') depth += 1;
    else if (character === ')') depth -= 1;
    if (depth === 0) break;
  }
  words.push({ kind: 'comment', text: text.slice(from, at + 1) });
  return at + 1;
}

/** A backslash takes the next character as it is, and is lost itself. */
function atom(text: string, from: number, words: AliasWord[]): number {
  let value = '';
  let at = from;
  for (; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\') at += 1;
    else if (isBlank(text.charCodeAt(at)) || OPERATORS.includes(character)) break;
    value += text.charAt(at);
  }
  words.push({ kind: NOT_ATOM.test(value) ? 'quoted' : 'atom', text: value });
  return at;
}

/** Prints words for a value: quoted where needed, a blank after commas and between plain words. */
export function formatWords(words: readonly AliasWord[]): string {
  return join(words, externalForm);
}

/** Prints words for a name: without quotes. */
export function plainWords(words: readonly AliasWord[]): string {
  return join(words, (word) => (word.kind === 'literal' ? `[${word.text}]` : word.text));
}

function join(words: readonly AliasWord[], print: (word: AliasWord) => string): string {
  let text = '';
  words.forEach((word, index) => {
    text += print(word);
    if (blankBetween(word, words[index + 1])) text += ' ';
  });
  return text;
}

function externalForm(word: AliasWord): string {
  if (word.kind === 'quoted') return `"${word.text.replace(ESCAPED, '\\$&')}"`;
  return word.kind === 'literal' ? `[${word.text}]` : word.text;
}

function blankBetween(word: AliasWord, next: AliasWord | undefined): boolean {
  if (word.kind === 'operator' && word.text === ',') return true;
  if (next === undefined) return false;
  if (next.kind === 'operator') return next.text === '<';
  return word.kind !== 'operator';
}
