/** How postconf prints: `name = value`, folded when asked. */
import type { ParsedOptions } from '../options/options.ts';

/** A folded line is not longer than this. */
export const LINE_LIMIT = 80;
/** Nor are those of a master.cf entry longer than this. */
export const MASTER_WIDTH = LINE_LIMIT - 1;
export const INDENT = '    ';

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

/** Words on lines of 80 columns at most, where words permit. */
function foldWords(words: readonly string[]): string {
  return foldItems('', words, LINE_LIMIT);
}

/** Appends items to `start`; one that does not fit goes to an indented line of its own. */
export function foldItems(start: string, items: readonly string[], limit: number): string {
  let text = start;
  let width = start.length - (start.lastIndexOf('\n') + 1);
  for (const item of items) {
    if (width > 0 && width + 1 + item.length > limit) {
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
  return foldItems(`${start}\n${INDENT}${items[0] ?? ''}`, items.slice(1), MASTER_WIDTH);
}
