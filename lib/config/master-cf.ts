/** master.cf: eight fields a line, then the arguments of the command; master(5). */
import { findClosing } from './expand.ts';
import { splitInetName } from './inet-name.ts';
import { splitWords } from './list.ts';
import { parseLogicalLines } from './logical-lines.ts';
import { indentedFirstLine, type Warn } from './main-cf.ts';
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

/** What to do about unbalanced braces: master refuses them, postconf shows what it can. */
export type BracePolicy = 'refuse' | 'accept';

/** @throws {ConfigError} on the first entry that can't be used */
export function parseMasterCf(
  text: string,
  file: string,
  warn: Warn = () => {},
  braces: BracePolicy = 'refuse',
): MasterEntry[] {
  const entries: MasterEntry[] = [];
  for (const { text: line, line: number } of parseLogicalLines(text)) {
    if (/^\s/.test(line)) {
      warn(indentedFirstLine(file, line));
    } else {
      entries.push(parseMasterLine(line, { file, line: number }, braces));
    }
  }
  return entries;
}

/** One logical line. @throws {ConfigError} */
export function parseMasterLine(
  line: string,
  origin: Origin,
  braces: BracePolicy = 'refuse',
): MasterEntry {
  const fail = (why: string): never => {
    throw new ConfigError(`file ${origin.file}: line ${origin.line}: ${why}`);
  };
  const { columns, rest } = splitFields(line);
  if (columns.length < MASTER_FIELDS.length) fail('bad field count');
  const trouble = fieldTrouble(columns, line);
  if (trouble !== undefined) fail(trouble);
  const [name = '', type, priv, unpriv, chroot, wakeup = '', maxproc, command = ''] = columns;
  const rawArgs = splitWords(rest);
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
    args: rawArgs.map((word) => {
      const { text, trouble } = withoutBraces(word);
      return trouble === undefined || braces === 'accept' ? text : fail(trouble);
    }),
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
  if (entry.type !== 'inet') return undefined;
  // Its socket is not in private/, and whoever wrote so may think that it is guarded.
  if (entry.private) return 'inet service cannot be private';
  const isComplete = splitInetName(entry.name).port !== '';
  return isComplete ? undefined : `missing service information in "${entry.name}"`;
}

/** What is wrong with the fields, in Postfix's words. */
export function fieldTrouble(columns: readonly string[], line: string): string | undefined {
  const index = MASTER_FIELDS.findIndex(
    (field, at) => FIELD_SYNTAX[field]?.test(columns[at] ?? '') === false,
  );
  if (index < 0) return undefined;
  return `invalid ${MASTER_FIELDS[index]} field "${columns[index]}" in "${line}"`;
}

/** The fields, in which braces mean nothing, and what follows them. */
function splitFields(line: string): { columns: string[]; rest: string } {
  const fields = new RegExp(`^\\s*((?:\\S+\\s+){${MASTER_FIELDS.length - 1}}\\S+)`).exec(line);
  const columns = (fields?.[1] ?? line).trim().split(/\s+/);
  return { columns, rest: line.slice(fields?.[0].length ?? line.length) };
}

/**
 * `{ text }` is `text`: what a daemon gets of `-o { name = value }` is `name = value`. Other words
 * are what they are. `trouble` is Postfix's text.
 */
export function withoutBraces(word: string): { text: string; trouble?: string } {
  if (!word.startsWith('{')) return { text: word };
  const end = findClosing(word, 0);
  if (end < 0) return { text: word.slice(1).trim(), trouble: `missing '}' in "${word}"` };
  const text = word.slice(1, end).trim();
  if (end === word.length - 1) return { text };
  return { text, trouble: `syntax error after '}' in "${word}"` };
}

/** `name = value` without the blanks around `=`. */
export function normalizeAssignment(text: string): string {
  const equals = text.indexOf('=');
  if (equals < 0) return text;
  return `${text.slice(0, equals).trim()}=${text.slice(equals + 1).trim()}`;
}
