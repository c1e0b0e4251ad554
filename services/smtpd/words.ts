/**
 * The words of a command line, which white space parts. What stands in <> or "" is of one piece, and a
 * backslash keeps the next character with it. Pure.
 */
export interface Word {
  readonly text: string;
  /** A bracket or quote in it is never closed. */
  readonly isBroken: boolean;
}

const SPACE = 0x20;
const TAB = 0x09;
const CR = 0x0d;
const QUOTE = 0x22;
const LESS = 0x3c;
const GREATER = 0x3e;
const BACKSLASH = 0x5c;

const isSpace = (code: number) => code === SPACE || (code >= TAB && code <= CR);

/** Splits a line into words; none when there is nothing but white space. */
export function splitWords(line: string): Word[] {
  const words: Word[] = [];
  for (let at = 0; at < line.length; ) {
    if (isSpace(line.charCodeAt(at))) {
      at += 1;
      continue;
    }
    const end = endOfWord(line, at);
    const isBroken = end === BROKEN;
    const next = isBroken ? line.length : end;
    words.push({ text: line.slice(at, next), isBroken });
    at = next;
  }
  return words;
}

const BROKEN = -1;

function endOfWord(line: string, start: number): number {
  for (let at = start; at < line.length; at += 1) {
    const code = line.charCodeAt(at);
    if (isSpace(code)) return at;
    if (code === BACKSLASH) {
      at += 1;
    } else if (code === LESS || code === QUOTE) {
      at = endOfGroup(line, at + 1, code === LESS ? GREATER : QUOTE);
      if (at === BROKEN) return BROKEN;
    }
  }
  return line.length;
}

/** Where the closing character is. Quotes protect it. */
function endOfGroup(line: string, start: number, close: number): number {
  for (let at = start; at < line.length; at += 1) {
    const code = line.charCodeAt(at);
    if (code === close) return at;
    if (code === BACKSLASH) {
      at += 1;
    } else if (code === QUOTE) {
      at = endOfGroup(line, at + 1, QUOTE);
      if (at === BROKEN) return BROKEN;
    }
  }
  return BROKEN;
}

/** The words from `first` on, as one text with single blanks. */
export function joinWords(words: readonly Word[], first: number): string {
  let text = '';
  for (let at = first; at < words.length; at += 1) {
    text += (at === first ? '' : ' ') + (words[at]?.text ?? '');
  }
  return text;
}
