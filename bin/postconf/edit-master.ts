/** Edits of master.cf: pure, from the old text to the new one. */
import {
  fieldTrouble,
  MASTER_FIELDS,
  type MasterEntry,
  type MasterField,
  parseMasterLine,
} from '../../lib/config/master-cf.ts';
import { parseArguments } from './arguments.ts';
import { type Block, checkOperand, commentOut, commentsOf, parseBlocks } from './edit-file.ts';
import { formatEntry, parseSelector, type Selector, selects } from './master-entries.ts';
import type { Action } from './request.ts';

/** What to do to the entries a selector matches. */
export interface MasterEdit {
  readonly operand: string;
  readonly selector: Selector;
  readonly change:
    | { readonly kind: 'replace'; readonly entry: MasterEntry }
    | { readonly kind: 'field'; readonly field: MasterField; readonly value: string }
    | { readonly kind: 'parameter'; readonly name: string; readonly value: string | undefined }
    | { readonly kind: 'remove' | 'comment' };
}

type Mode = 'M' | 'F' | 'P';

const WANTED: Readonly<Record<Mode, string>> = {
  M: '-Me, -MX or -M# requires service_name/type',
  F: '-Fe or -FX requires service_name/type/field_name',
  P: '-Pe or -PX requires service_name/type/parameter',
};

/** @throws {Error} with Postfix's text */
export function parseMasterEdit(
  mode: Mode,
  action: Exclude<Action, 'show'>,
  operand: string,
): MasterEdit {
  checkOperand(operand);
  const equals = operand.indexOf('=');
  if (action === 'set' && equals < 0) {
    throw new Error(`missing '=' after attribute name: "${operand}"`);
  }
  if (action === 'set' && operand.slice(0, equals).trim() === '') {
    throw new Error(`missing attribute name: "${operand}"`);
  }
  const target = (action === 'set' ? operand.slice(0, equals) : operand).trim();
  const value = operand.slice(equals + 1).trim();
  const parts = mode === 'M' ? 2 : 3;
  const selector = parseSelector(target, parts);
  if (selector === undefined || target.split('/').length !== parts) throw new Error(WANTED[mode]);
  const rest = selector.rest ?? '';
  if (mode === 'M') return { operand, selector, change: entryChange(action, operand, value) };
  if (mode === 'F') return { operand, selector, change: fieldChange(rest, value) };
  return { operand, selector, change: parameterChange(action, rest, value) };
}

function entryChange(action: Action, operand: string, line: string): MasterEdit['change'] {
  if (action !== 'set') return { kind: action === 'remove' ? 'remove' : 'comment' };
  return { kind: 'replace', entry: parseEntry(line, operand) };
}

/** An entry that comes from the command line. */
function parseEntry(line: string, operand: string): MasterEntry {
  try {
    return parseMasterLine(line, { file: 'command line', line: 0 });
  } catch (cause) {
    const why = (cause as Error).message.replace(/^file command line: line 0: /, '');
    throw new Error(why === 'bad field count' ? `${why}: "${operand}"` : why, { cause });
  }
}

function fieldChange(field: string, value: string): MasterEdit['change'] {
  const name = MASTER_FIELDS.find((known) => known === field);
  if (name === undefined) throw new Error(`invalid service attribute name: "${field}"`);
  if (value === '') throw new Error(`-Fe requires a value for the field "${field}"`);
  if (name !== 'command' && /\s/.test(value)) {
    throw new Error('-Fe does not accept whitespace in non-command field');
  }
  const columns = ['x', 'unix', '-', '-', '-', '-', '-', 'x'];
  columns[MASTER_FIELDS.indexOf(name)] = value;
  const trouble = fieldTrouble(columns, value);
  if (trouble !== undefined) throw new Error(trouble);
  return { kind: 'field', field: name, value };
}

function parameterChange(action: Action, name: string, value: string): MasterEdit['change'] {
  if (name.includes('*')) throw new Error('-Pe does not accept wild-card parameter name');
  if (action === 'remove') return { kind: 'parameter', name, value: undefined };
  if (/\s/.test(value)) throw new Error('-Pe does not accept whitespace in parameter value');
  return { kind: 'parameter', name, value };
}

/** The new master.cf. Entries that are not edited keep every byte. */
export function editMaster(
  text: string,
  edits: readonly MasterEdit[],
  file: string,
  warn: (text: string) => void,
): string {
  let result = text;
  for (const edit of edits) result = applyEdit(result, edit, file, warn);
  return result;
}

function applyEdit(
  text: string,
  edit: MasterEdit,
  file: string,
  warn: (text: string) => void,
): string {
  const { change } = edit;
  let matches = 0;
  let result = '';
  for (const block of parseBlocks(text)) {
    const entry = entryOf(block, file);
    if (entry === undefined || !selects(edit.selector, entry)) {
      result += block.lines.join('');
      continue;
    }
    matches += 1;
    if (change.kind === 'field' || change.kind === 'parameter') {
      result += `${commentsOf(block)}${formatEntry(changed(entry, change), true)}\n`;
    } else if (change.kind === 'replace') {
      // A second entry of that name would be a duplicate of the new one.
      const line = matches === 1 ? `${formatEntry(change.entry, true)}\n` : '';
      result += line + commentsOf(block);
    } else {
      result += change.kind === 'comment' ? commentOut(block) : commentsOf(block);
    }
  }
  if (matches > 0) return result;
  if (change.kind === 'replace') return `${result}${formatEntry(change.entry, true)}\n`;
  if (change.kind === 'field' || change.kind === 'parameter') {
    warn(`unmatched service_name/type: "${edit.operand}"`);
  }
  return result;
}

function entryOf(block: Block, file: string): MasterEntry | undefined {
  if (block.text === undefined || /^\s/.test(block.text)) return undefined;
  return parseMasterLine(block.text, { file, line: 0 }, 'accept');
}

function changed(
  entry: MasterEntry,
  change: Extract<MasterEdit['change'], { kind: 'field' } | { kind: 'parameter' }>,
): MasterEntry {
  if (change.kind === 'parameter') {
    return { ...entry, rawArgs: withParameter(entry.rawArgs, change.name, change.value) };
  }
  const columns = [...entry.columns];
  if (change.field !== 'command') {
    columns[MASTER_FIELDS.indexOf(change.field)] = change.value;
    return { ...entry, columns };
  }
  const line = [...entry.columns.slice(0, -1), change.value].join(' ');
  return parseEntry(line, change.value);
}

/** Sets or removes one `-o name=value`; a new one goes behind the options there are. */
function withParameter(
  words: readonly string[],
  name: string,
  value: string | undefined,
): readonly string[] {
  const { options, rest } = parseArguments(words);
  const setting = `${name}=${value}`;
  const result: string[] = [];
  let done = value === undefined;
  for (const option of options) {
    if (option.value === undefined) {
      result.push(option.flag);
    } else if (option.value.split('=')[0]?.trim() !== name) {
      result.push('-o', `{${option.value}}`);
    } else if (!done) {
      result.push('-o', setting);
      done = true;
    }
  }
  if (!done) result.push('-o', setting);
  return [...result, ...rest.map((word) => (/\s/.test(word) ? `{${word}}` : word))];
}
