/** Keys of tables with fixed strings are folded to lower case, when stored and when asked. */
import type { TableContext } from './definition.ts';

const NOT_ASCII = /[^\x00-\x7f]/;
const CAPITALS = /[A-Z]+/g;

/** What turns a key into the form that a table stores. */
export function folding(context: TableContext): (key: string) => string {
  if (context.fold === false) return (key) => key;
  return usesUtf8(context) ? (key) => key.toLowerCase() : foldAscii;
}

/** Whether keys and values are UTF-8: smtputf8_enable, unless the caller says otherwise. */
export function usesUtf8(context: TableContext): boolean {
  return context.utf8 ?? context.configuration?.text('smtputf8_enable') === 'yes';
}

function foldAscii(key: string): string {
  if (!NOT_ASCII.test(key)) return key.toLowerCase();
  return key.replace(CAPITALS, (letters) => letters.toLowerCase());
}
