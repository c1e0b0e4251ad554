/** Tables of a few lines each: static, fail, environ, unix, nis. */
import { readFileSync } from 'node:fs';
import { groupLine, passwdLine } from '../os/name-service.ts';
import { userDatabaseChanged } from '../os/user-database.ts';
import { withoutBraces } from './braces.ts';
import {
  type Answer,
  type Table,
  type TableContext,
  TableError,
  TableOpenError,
} from './definition.ts';
import { folding } from './fold.ts';
import { fileContents } from './memory-table.ts';

/** `static:text`: one answer to every question. */
export function openStatic(text: string, context: TableContext): Table {
  const name = `static:${text}`;
  const value = staticValue(text);
  const answer = context.valuesAreFiles ? fileContents(value, name) : value;
  return plainTable(name, () => answer);
}

function staticValue(text: string): string {
  try {
    return withoutBraces(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TableOpenError(`bad static:name syntax: ${reason}`, { cause: error });
  }
}

/** `fail:name`: a table in trouble, to see what the mail system does then. */
export function openFail(text: string): Table {
  const name = `fail:${text}`;
  const lookup = (): never => {
    throw new TableError(`table ${name}: query error: Application error`);
  };
  return { ...plainTable(name, lookup), pattern: true };
}

/** `environ:name`: the environment of the process. */
export function openEnviron(text: string, context: TableContext): Table {
  const fold = folding(context);
  return plainTable(`environ:${text}`, (key) => process.env[fold(key)]);
}

/** `unix:passwd.byname`, `unix:group.byname`: the system's users and groups. */
export function openUnix(text: string, context: TableContext): Table {
  const name = `unix:${text}`;
  const line = { 'passwd.byname': passwdLine, 'group.byname': groupLine }[text];
  if (line === undefined) throw new TableOpenError(`unknown table: ${name}`);
  const fold = folding(context);
  const lookup = (key: string) => {
    try {
      return line(fold(key));
    } catch (error) {
      throw new TableError(`table ${name}: ${error}`, { cause: error });
    }
  };
  return { ...plainTable(name, lookup), changed: userDatabaseChanged };
}

const NO_NIS_DOMAINS: readonly string[] = ['', '(none)'];

/**
 * `nis:map`, as on a machine without NIS: nothing is found. The default of alias_maps names such a
 * table, so this is what most machines have.
 */
export function openNis(text: string, { log }: TableContext): Table {
  if (!NO_NIS_DOMAINS.includes(nisDomain())) {
    throw new TableOpenError('unsupported dictionary type: nis (not built into Posthaste)');
  }
  log?.warn('dict_nis_init: NIS domain name not set - NIS lookups disabled');
  return plainTable(`nis:${text}`, () => undefined);
}

function nisDomain(): string {
  try {
    return readFileSync('/proc/sys/kernel/domainname', 'utf8').trim();
  } catch {
    return '';
  }
}

/** A table without a file. */
export function plainTable(name: string, lookup: (key: string) => Answer): Table {
  return { name, pattern: false, lookup, changed: () => false, close() {} };
}
