/** How postconf prints: `name = value`, folded when asked. */
import type { ParsedOptions } from '../options/options.ts';

/** A folded line is shorter than this. */
const LINE_LIMIT = 80;
const INDENT = '    ';

export interface Form {
  /** `-f` */
  readonly fold: boolean;
  /** `-h` */
  readonly hideName: boolean;
  /** `-H` */
  readonly hideValue: boolean;
}

export function formOf(options: ParsedOptions): Form {
  return { fold: options.has('f'), hideName: options.has('h'), hideValue: options.has('H') };
}

/** One parameter, with its line end. */
export function formatSetting(name: string, value: string, form: Form): string {
  if (form.hideValue) return `${name}\n`;
  const shown = value.replace(/\s+/g, ' ').trim();
  const line = form.hideName ? shown : `${name} =${shown === '' ? '' : ' '}${shown}`;
  return `${form.fold ? foldWords(line.split(' ')) : line}\n`;
}

/** Words on lines of less than 80 columns, where words permit. */
function foldWords(words: readonly string[]): string {
  return foldItems('', words, true);
}

/** Appends items to `start`; one that does not fit goes to an indented line of its own. */
export function foldItems(start: string, items: readonly string[], fold: boolean): string {
  let text = start;
  let width = start.length - (start.lastIndexOf('\n') + 1);
  for (const item of items) {
    if (width > 0 && fold && width + 1 + item.length > LINE_LIMIT) {
      text += `\n${INDENT}${item}`;
      width = INDENT.length + item.length;
    } else {
      text += width > 0 ? ` ${item}` : item;
      width += item.length + (width > 0 ? 1 : 0);
    }
  }
  return text;
}

/** The same, with the first item on an indented line of its own. */
export function foldItemsBelow(start: string, items: readonly string[]): string {
  return foldItems(`${start}\n${INDENT}${items[0] ?? ''}`, items.slice(1), true);
}
