/** Showing master.cf: `-M` (entries), `-F` (fields), `-P` (parameters). */
import { expand } from '../../lib/config/expand.ts';
import { MASTER_FIELDS, type MasterEntry } from '../../lib/config/master-cf.ts';
import { type DaemonOption, overridesOf, parseArguments } from './arguments.ts';
import {
  type Form,
  foldItems,
  foldItemsBelow,
  formatSetting,
  INDENT,
  LINE_LIMIT,
  MASTER_WIDTH,
} from './lines.ts';

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

/** `$name` in an entry: what only it knows, its own `-o`, then main.cf. */
export function resolverFor(lookup: (name: string) => string | undefined): Resolve {
  return (entry, value) => {
    const own = new Map([
      ...overridesOf(entry.rawArgs),
      ['service_name', entry.name],
      ['process_name', entry.command],
    ]);
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
  const { options, rest } = parseArguments(entry.rawArgs);
  const shown = (option: DaemonOption) =>
    option.value === undefined
      ? option.flag
      : `-o ${inBraces(formatSettingOf(option.value, (text) => resolve?.(entry, text) ?? text))}`;
  const after = rest.map(inBraces);
  if (!fold) return [start, ...options.map(shown), ...after].join(' ');
  let text = start;
  let ownLine = false;
  for (const option of options) {
    const isSetting = option.value !== undefined;
    const place = ownLine || isSetting ? foldItemsBelow : foldItemsBeside;
    text = place(text, [shown(option)]);
    ownLine = isSetting;
  }
  if (after.length === 0) return text;
  return ownLine ? foldItemsBelow(text, after) : foldItemsBeside(text, after);
}

function foldItemsBeside(start: string, items: readonly string[]): string {
  return foldItems(start, items, MASTER_WIDTH);
}

function formatSettingOf(text: string, resolve: (text: string) => string): string {
  const equals = text.indexOf('=') + 1;
  return text.slice(0, equals) + resolve(text.slice(equals));
}

/** `{a=b c}`; without blanks, `a=b`. */
function inBraces(text: string): string {
  return /\s/.test(text) ? `{${text}}` : text;
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
      if (form.hideValue) return `${prefix}${name}\n`;
      const value = entry.columns[MASTER_FIELDS.indexOf(name)] ?? '';
      const start = besideName(form.hideName ? '' : `${prefix}${name} = `, value);
      if (name !== 'command') return `${start}\n`;
      return `${formatArguments(start, entry, form.fold, resolve)}\n`;
    })
    .join('');
}

/** A field that does not fit goes below its name, also when nothing is to be folded. */
function besideName(start: string, value: string): string {
  return start !== '' && start.length + value.length > LINE_LIMIT
    ? `${start}\n${INDENT}${value}`
    : start + value;
}

/** `submission/inet/syslog_name = x`, for one parameter or all. */
export function formatParameters(
  entry: MasterEntry,
  parameter: string | undefined,
  form: Form,
  resolve?: Resolve,
): string {
  return [...new Map(overridesOf(entry.rawArgs))]
    .filter(([name]) => parameter === undefined || parameter === '*' || parameter === name)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) =>
      formatSetting(`${entry.name}/${entry.type}/${name}`, resolve?.(entry, value) ?? value, form),
    )
    .join('');
}
