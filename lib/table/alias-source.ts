/** The source syntax of aliases(5): `name: value, value`. */
import { aliasWords, formatWords, plainWords } from './alias-words.ts';
import type { ParsedEntry } from './map-source.ts';
import type { SourceLine } from './source-lines.ts';

/** Takes one line apart: the name without its quotes, the values printed one way. */
export function parseAliasLine({ text }: SourceLine): ParsedEntry {
  // Nothing but what follows a NUL byte.
  if (text === '') return {};
  const words = aliasWords(text);
  const isOperator = (operators: string) => (word: (typeof words)[number]) =>
    word.kind === 'operator' && operators.includes(word.text);
  const colon = words.findIndex(isOperator(':'));
  const name = words.slice(0, Math.max(colon, 0));
  const values = words.slice(colon + 1);
  if (name.length === 0 || values.length === 0 || name.some(isOperator(','))) {
    return { problem: 'need name:value pair' };
  }
  if (name.some(isOperator('@'))) return { problem: 'name must be local' };
  return { entry: { key: plainWords(name), value: formatWords(values) } };
}
