/**
 * An address as a list of words that can be cut and joined: atoms, quoted strings, operators.
 * Rewriting and resolving are both made of such cuts.
 */
import { quote } from '../../lib/address/address.ts';
import { internalText, scan, type Token } from '../../lib/address/token.ts';

export type Words = Token[];

/** Splits external (quoted) text into words. */
export function wordsOf(external: string): Words {
  const words: Words = [];
  for (let word = scan(external); word !== undefined; word = word.next) words.push(word);
  return words;
}

/** A word that is an operator: `@`, `!` ... */
export function operator(kind: string): Token {
  return { kind, text: '', previous: undefined, next: undefined, head: undefined, inner: false };
}

/** The words of a quoted string with nothing in it: the null local part. */
export function nullWords(): Words {
  return [{ ...operator('quoted'), text: '' }];
}

/** The text without quotes. */
export function internalOf(words: Words): string {
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] as Token;
    word.previous = words[at - 1];
    word.next = words[at + 1];
  }
  return internalText(words[0]);
}

/** The text with its local part in quotes where it needs them. */
export function externalOf(words: Words): string {
  const internal = internalOf(words);
  return internal === '' ? '""' : quote(internal);
}

/** Where an operator comes first or last; -1 when it does not. */
export function indexOfKind(words: Words, kind: string): number {
  return words.findIndex((word) => word.kind === kind);
}

export function lastIndexOfKind(words: Words, kind: string): number {
  return words.findLastIndex((word) => word.kind === kind);
}

/** Whether the address is nothing but `""`. */
export function isNull(words: Words): boolean {
  const [word] = words;
  return words.length === 1 && word?.kind === 'quoted' && word.text === '';
}

/** A dot at the end of the domain says nothing; two dots, or `@.`, are wrong and are left alone. */
export function withoutFinalDot(words: Words): Words {
  const before = words.at(-2)?.kind;
  if (words.at(-1)?.kind !== '.' || before === undefined) return words;
  return before === '.' || before === '@' ? words : words.slice(0, -1);
}
