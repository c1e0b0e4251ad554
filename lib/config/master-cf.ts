/** master.cf: eight fields a line, then the arguments of the command; master(5). */
import { findClosing } from './expand.ts';
import { parseLogicalLines } from './logical-lines.ts';
import type { Warn } from './main-cf.ts';
import { ConfigError, type Origin } from './source.ts';

export const SERVICE_TYPES = ['inet', 'unix', 'fifo', 'unix-dgram', 'pass'] as const;
export type ServiceType = (typeof SERVICE_TYPES)[number];

/** The fields before the arguments, as `postconf -F` names them. */
export const MASTER_FIELDS = [
  'service',
  'type',
  'private',
  'unprivileged',
  'chroot',
  'wakeup',
  'process_limit',
  'command',
] as const;
export type MasterField = (typeof MASTER_FIELDS)[number];

export interface MasterEntry {
  readonly name: string;
  readonly type: ServiceType;
  /** The default, too: an inet service has to say `n`, which master checks. */
  readonly private: boolean;
  readonly unpriv: boolean;
  readonly chroot: boolean;
  readonly wakeup: { readonly seconds: number; readonly onlyIfUsed: boolean };
  /** undefined: default_process_limit; 0: no limit. */
  readonly maxproc: number | undefined;
  readonly command: string;
  /** `-o`, `name=value` and so on; the braces of `{ name = value }` are gone. */
  readonly args: readonly string[];
  /** The fields as they are written, with `-` for a default. */
  readonly columns: readonly string[];
  /** The arguments as they are written. */
  readonly rawArgs: readonly string[];
  readonly origin: Origin;
}

/** @throws {ConfigError} on the first entry that can't be used */
export function parseMasterCf(text: string, file: string, warn: Warn = () => {}): MasterEntry[] {
  const entries: MasterEntry[] = [];
  for (const { text: line, line: number } of parseLogicalLines(text)) {
    if (/^\s/.test(line)) {
      warn(`${file}: logical line must not start with whitespace: "${line.slice(0, 60)}"`);
    } else {
      entries.push(parseMasterLine(line, { file, line: number }));
    }
  }
  return entries;
}

/** One logical line. @throws {ConfigError} */
export function parseMasterLine(line: string, origin: Origin): MasterEntry {
  const fail = (why: string): never => {
    throw new ConfigError(`file ${origin.file}: line ${origin.line}: ${why}`);
  };
  const words = splitWords(line, fail);
  if (words.length < MASTER_FIELDS.length) fail('bad field count');
  const columns = words.slice(0, MASTER_FIELDS.length);
  const trouble = fieldTrouble(columns, line);
  if (trouble !== undefined) fail(trouble);
  const [name = '', type, priv, unpriv, chroot, wakeup = '', maxproc, command = ''] = columns;
  const rawArgs = words.slice(MASTER_FIELDS.length);
  return {
    name,
    type: type as ServiceType,
    private: priv !== 'n',
    unpriv: unpriv !== 'n',
    chroot: chroot === 'y',
    wakeup: {
      seconds: wakeup === '-' ? 0 : Number.parseInt(wakeup, 10),
      onlyIfUsed: wakeup.endsWith('?'),
    },
    maxproc: maxproc === '-' ? undefined : Number(maxproc),
    command,
    args: rawArgs.map((word) => resolveArgument(word)),
    columns,
    rawArgs,
    origin,
  };
}

const FLAG = /^[-yn]$/;
const FIELD_SYNTAX: Readonly<Partial<Record<MasterField, RegExp>>> = {
  type: new RegExp(`^(?:${SERVICE_TYPES.join('|')})$`),
  private: FLAG,
  unprivileged: FLAG,
  chroot: FLAG,
  wakeup: /^(?:-|\d{1,9}\??)$/,
  process_limit: /^(?:-|\d{1,9})$/,
};

/** Why master can't run a service whose line is well-formed, in Postfix's words. */
export function serviceTrouble(entry: MasterEntry): string | undefined {
  // Its socket is not in private/, and whoever wrote so may think that it is guarded.
  return entry.type === 'inet' && entry.private ? 'inet service cannot be private' : undefined;
}

/** What is wrong with the fields, in Postfix's words. */
export function fieldTrouble(columns: readonly string[], line: string): string | undefined {
  const index = MASTER_FIELDS.findIndex(
    (field, at) => FIELD_SYNTAX[field]?.test(columns[at] ?? '') === false,
  );
  if (index < 0) return undefined;
  return `invalid ${MASTER_FIELDS[index]} field "${columns[index]}" in "${line}"`;
}

/** Words separated by white space; one that starts with a brace goes to the closing brace. */
function splitWords(line: string, fail: (why: string) => never): string[] {
  const words: string[] = [];
  for (let at = 0; at < line.length; ) {
    if (/\s/.test(line.charAt(at))) {
      at += 1;
      continue;
    }
    let end = at;
    if (line.charAt(at) === '{') {
      end = findClosing(line, at) + 1;
      if (end === 0) fail(`missing '}' in "${line.slice(at)}"`);
      if (end < line.length && !/\s/.test(line.charAt(end))) {
        fail(`syntax error after '}' in "${line.slice(at)}"`);
      }
    } else {
      while (end < line.length && !/\s/.test(line.charAt(end))) end += 1;
    }
    words.push(line.slice(at, end));
    at = end;
  }
  return words;
}

/** `{ text }` is `text`: what a daemon gets of `-o { name = value }` is `name = value`. */
function resolveArgument(word: string): string {
  return word.startsWith('{') ? word.slice(1, -1).trim() : word;
}

/** `name = value` without the blanks around `=`. */
export function normalizeAssignment(text: string): string {
  const equals = text.indexOf('=');
  if (equals < 0) return text;
  return `${text.slice(0, equals).trim()}=${text.slice(equals + 1).trim()}`;
}
