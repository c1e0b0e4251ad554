/** Showing master.cf: `-M` (entries), `-F` (fields), `-P` (parameters). */
import { expand } from '../../lib/config/expand.ts';
import {
  MASTER_FIELDS,
  type MasterEntry,
  normalizeAssignment,
} from '../../lib/config/master-cf.ts';
import { overridesOf } from './known-names.ts';
import { type Form, foldItems, foldItemsBelow, formatSetting } from './lines.ts';

/** Where the fields start, when the text before them is short enough. */
const COLUMNS = [0, 11, 17, 25, 33, 41, 49, 57];

/** `service/type/rest`; a part that is missing or `*` matches all. */
export interface Selector {
  readonly name: string;
  readonly type: string;
  readonly rest: string | undefined;
}

/** Undefined when there are more parts than `most`, or an empty one. */
export function parseSelector(text: string, most: number): Selector | undefined {
  const parts = text.split('/');
  if (parts.length > most || parts.includes('')) return undefined;
  const [name = '*', type = '*', rest] = parts;
  return { name, type, rest };
}

export function selects(selector: Selector, entry: MasterEntry): boolean {
  const { name, type } = selector;
  return (name === '*' || name === entry.name) && (type === '*' || type === entry.type);
}

/** Expands `$name` in a value of an entry. */
export type Resolve = (entry: MasterEntry, value: string) => string;

/** `$name` in an entry: its own `-o` first, then main.cf. */
export function resolverFor(lookup: (name: string) => string | undefined): Resolve {
  return (entry, value) => {
    const own = new Map(overridesOf(entry));
    return expand(value, (name) => own.get(name) ?? lookup(name));
  };
}

/** One entry as `-M` and `-Mf` print it, without the last line end. */
export function formatEntry(entry: MasterEntry, fold: boolean, resolve?: Resolve): string {
  let line = '';
  entry.columns.forEach((column, index) => {
    if (index > 0) line = `${line} `.padEnd(COLUMNS[index] ?? 0);
    line += column;
  });
  return formatArguments(line, entry, fold, resolve);
}

/** The command and its arguments, as the field `command`. */
export function formatCommand(entry: MasterEntry, fold: boolean, resolve?: Resolve): string {
  return formatArguments(entry.command, entry, fold, resolve);
}

/** Each `-o name=value` of a folded entry has a line of its own. */
function formatArguments(
  start: string,
  entry: MasterEntry,
  fold: boolean,
  resolve: Resolve | undefined,
): string {
  const { options, rest } = splitArguments(entry, resolve);
  if (!fold) return foldItems(start, [...options, ...rest], false);
  let text = start;
  let ownLine = false;
  for (const option of options) {
    const isSetting = option.startsWith('-o ');
    const place = ownLine || isSetting ? foldItemsBelow : foldItemsBeside;
    text = place(text, [option]);
    ownLine = isSetting;
  }
  if (rest.length === 0) return text;
  return ownLine ? foldItemsBelow(text, rest) : foldItemsBeside(text, rest);
}

function foldItemsBeside(start: string, items: readonly string[]): string {
  return foldItems(start, items, true);
}

function splitArguments(entry: MasterEntry, resolve: Resolve | undefined) {
  const words = entry.rawArgs;
  const options: string[] = [];
  let at = 0;
  for (; words[at]?.startsWith('-') && words[at] !== '--'; at += 1) {
    const value = words[at + 1];
    if (words[at] !== '-o' || value === undefined) {
      options.push(words[at] ?? '');
      continue;
    }
    at += 1;
    options.push(`-o ${formatAssignment(value, (text) => resolve?.(entry, text) ?? text)}`);
  }
  const rest = words.slice(at).map((word) => tidyBraces(word, (text) => text));
  return { options, rest };
}

/** `{ a = b c }` is `{a=b c}`; without blanks in the value, `a=b`. */
function formatAssignment(word: string, resolve: (text: string) => string): string {
  const inner = word.startsWith('{') ? word.slice(1, -1).trim() : word;
  const assignment = normalizeAssignment(inner);
  const equals = assignment.indexOf('=') + 1;
  const text = assignment.slice(0, equals) + resolve(assignment.slice(equals));
  return /\s/.test(text) ? `{${text}}` : text;
}

function tidyBraces(word: string, resolve: (text: string) => string): string {
  return word.startsWith('{') ? `{${resolve(word.slice(1, -1).trim())}}` : word;
}

/** `smtp/inet/chroot = n`, for one field or all. */
export function formatFields(
  entry: MasterEntry,
  field: string | undefined,
  form: Form,
  resolve?: Resolve,
): string {
  const prefix = `${entry.name}/${entry.type}/`;
  return MASTER_FIELDS.filter((name) => field === undefined || field === '*' || field === name)
    .map((name) => {
      const value = entry.columns[MASTER_FIELDS.indexOf(name)] ?? '';
      if (name !== 'command') return formatSetting(`${prefix}${name}`, value, form);
      if (form.hideValue) return `${prefix}${name}\n`;
      const start = form.hideName ? '' : `${prefix}${name} = `;
      return formatArguments(start + entry.command, entry, form.fold, resolve) + '\n';
    })
    .join('');
}

/** `submission/inet/syslog_name = x`, for one parameter or all. */
export function formatParameters(
  entry: MasterEntry,
  parameter: string | undefined,
  form: Form,
  resolve?: Resolve,
): string {
  return [...new Map(overridesOf(entry))]
    .filter(([name]) => parameter === undefined || parameter === '*' || parameter === name)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) =>
      formatSetting(`${entry.name}/${entry.type}/${name}`, resolve?.(entry, value) ?? value, form),
    )
    .join('');
}
