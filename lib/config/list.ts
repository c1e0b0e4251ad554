/** Lists: items separated by commas and white space. */

/** Postfix's separators, and the braces that protect them. */
const LIST_SPECIALS = /[, \t\r\n{}]/g;
const WORD_SPECIALS = /[ \t\r\n{}]/g;

/** The items of a list; `{ ... }` protects the separators inside it and stays part of the item. */
export function splitList(text: string): string[] {
  return splitAt(text, LIST_SPECIALS);
}

/** The same for words that only white space separates. */
export function splitWords(text: string): string[] {
  return splitAt(text, WORD_SPECIALS);
}

function splitAt(text: string, specials: RegExp): string[] {
  const items: string[] = [];
  let start = 0;
  let depth = 0;
  for (const { 0: character, index } of text.matchAll(specials)) {
    if (character === '{') {
      depth += 1;
    } else if (character === '}') {
      depth = Math.max(0, depth - 1);
    } else if (depth === 0) {
      if (index > start) items.push(text.slice(start, index));
      start = index + 1;
    }
  }
  if (start < text.length) items.push(text.slice(start));
  return items;
}
