/** Makes and changes table files: what postmap, postalias and newaliases do. */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs';
import { errorText, isErrno } from '../os/error.ts';
import { flock } from '../os/locks.ts';
import { type TableContext, TableOpenError } from './definition.ts';
import { folding, usesUtf8 } from './fold.ts';
import { foreignFormat } from './foreign-file.ts';
import { type Change, NewIndexedFile } from './indexed-file.ts';

export type { Change } from './indexed-file.ts';

import { INDEXED_SUFFIX, type IndexedType, isIndexedType } from './indexed-table.ts';
import { type Entry, type ParsedEntry, parseMapLine } from './map-source.ts';
import { openWatched, readSource } from './source-file.ts';
import { printableBytes, type SourceLine, sourceLines } from './source-lines.ts';
import { splitTableName, tableTypes } from './table.ts';

export interface BuildOptions extends TableContext {
  /** How a line is read; postmap's way when absent. */
  readonly parse?: (line: SourceLine) => ParsedEntry;
  /** Of two entries with one key: warn and keep the first, keep it silently, or take the last. */
  readonly duplicateKeys?: 'warn' | 'ignore' | 'replace';
  /** Add to the table that is there (`-i`). */
  readonly incremental?: boolean;
  /** False: a new file gets mode 0644, not the mode of its source (`-p`). */
  readonly copyMode?: boolean;
  /** Told now and then how many lines have been put in. */
  readonly progress?: (lines: number) => void;
  /** Entries without which a table of its kind is not complete. */
  readonly extra?: readonly Entry[];
}

const PLAIN_MODE = 0o644;
const PROGRESS_LINES = 10_000;

/**
 * Makes the table file of `type:path` from the source at `path`. Readers see the old table or the
 * new one, never half of it.
 *
 * @param input the source, when it is not the file (`-i`): its bytes, named `stdin`
 * @throws {TableOpenError}
 */
export function buildTable(name: string, options: BuildOptions, input?: Buffer): void {
  const source = input === undefined ? openWatched(splitTableName(name).name, 'open') : undefined;
  try {
    const { type, path } = indexedName(name, notMade);
    const bytes = source === undefined ? (input ?? Buffer.alloc(0)) : readSource(source);
    const mode =
      source === undefined
        ? statSync(path, { throwIfNoEntry: false })?.mode
        : fstatSync(source.fd).mode;
    const target = {
      path: path + INDEXED_SUFFIX[type],
      mode: options.copyMode === false || mode === undefined ? PLAIN_MODE : mode & 0o666,
      keep: options.incremental === true,
    };
    changeFile(target, (file) => {
      for (const { key, value } of options.extra ?? []) file.put(key, value, true);
      putLines(
        file,
        { bytes, from: source === undefined ? 'stdin' : path, target: target.path },
        options,
      );
      return true;
    });
  } finally {
    source?.close();
  }
}

/** Removes keys from `type:path`. @returns those that were there. @throws {TableOpenError} */
export function removeKeys(name: string, keys: Iterable<string>, context: TableContext): string[] {
  const { type, path } = indexedName(name, (refused) => readOnlyText(refused, name));
  const fold = folding(context);
  const removed: string[] = [];
  const databasePath = path + INDEXED_SUFFIX[type];
  statOrThrow(databasePath);
  changeFile({ path: databasePath, mode: PLAIN_MODE, keep: true }, (file) => {
    for (const key of keys) if (file.remove(fold(key))) removed.push(key);
    return removed.length > 0;
  });
  return removed;
}

/** The file that `type:path` is changed in. @throws {TableOpenError} when there is none */
export function writablePath(name: string): string {
  const { type, path } = indexedName(name, (refused) => readOnlyText(refused, name));
  return path + INDEXED_SUFFIX[type];
}

/**
 * Makes changes to `type:path`, all of them or none; a table that is not there is made.
 *
 * @returns for each of them whether it changed anything
 * @throws {TableOpenError}
 */
export function changeTable(
  name: string,
  changes: readonly Change[],
  context: TableContext,
): boolean[] {
  const { type, path } = indexedName(name, (refused) => readOnlyText(refused, name));
  const fold = folding(context);
  let done: boolean[] = [];
  const target = { path: path + INDEXED_SUFFIX[type], mode: PLAIN_MODE, keep: true };
  if (changes.length === 0 && existsSync(target.path)) return [];
  changeFile(target, (file) => {
    done = changes.map(({ key, value }) => {
      if (value === undefined) return file.remove(fold(key));
      file.put(fold(key), value, true);
      return true;
    });
    return done.includes(true) || changes.length === 0;
  });
  return done;
}

/** @throws {TableOpenError} when the type has no file that a command could write */
function indexedName(name: string, refuse: (type: string) => string): IndexedName {
  const { type, name: path } = splitTableName(name);
  if (isIndexedType(type)) return { type, path };
  const known = tableTypes().includes(type);
  throw new TableOpenError(known ? refuse(type) : `unsupported dictionary type: ${type}`);
}

interface IndexedName {
  readonly type: IndexedType;
  readonly path: string;
}

function notMade(type: string): string {
  return `unsupported dictionary type: ${type} does not support bulk-mode creation.`;
}

const OPENED_READ_ONLY: ReadonlySet<string> = new Set(
  'cidr environ inline pcre pipemap randmap regexp socketmap sqlite tcp texthash unionmap unix'.split(
    ' ',
  ),
);

function readOnlyText(type: string, name: string): string {
  return OPENED_READ_ONLY.has(type)
    ? `${name} map requires O_RDONLY access mode`
    : `table ${name}: delete operation is not supported`;
}

function statOrThrow(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw new TableOpenError(`open database ${path}: ${errorText(error)}`, { cause: error });
  }
}

interface Target {
  readonly path: string;
  /** Of a file that is not there yet; one that is keeps its own mode and owner. */
  readonly mode: number;
  /** Start from the entries that are there. */
  readonly keep: boolean;
}

/** Writes a new file and puts it in place when `change` says so. @throws {TableOpenError} */
function changeFile(target: Target, change: (file: NewIndexedFile) => boolean): void {
  const old = openOld(target.path);
  try {
    if (old !== undefined && target.keep) refuseForeign(old, target.path);
    const file = createNew(target, old !== undefined);
    try {
      if (change(file)) file.commit(old === undefined ? { mode: target.mode } : fstatSync(old));
    } finally {
      file.discard();
    }
  } finally {
    if (old !== undefined) closeSync(old);
  }
}

/** Opens and locks what is to be replaced, so that two commands do not lose each other's changes. */
function openOld(path: string): number | undefined {
  for (;;) {
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw new TableOpenError(`open database ${path}: ${errorText(error)}`, { cause: error });
    }
    flock(fd, 'exclusive', { wait: true });
    // Whoever held the lock before us has put another file in its place.
    if (fstatSync(fd).ino === statSync(path, { throwIfNoEntry: false })?.ino) return fd;
    closeSync(fd);
  }
}

function refuseForeign(fd: number, path: string): void {
  const foreign = foreignFormat(fd);
  if (foreign === undefined) return;
  throw new TableOpenError(
    `open database ${path}: it is ${foreign}, not a table of ours; make it anew from its source first`,
  );
}

function createNew({ path, keep }: Target, exists: boolean): NewIndexedFile {
  try {
    return new NewIndexedFile(path, keep && exists);
  } catch (error) {
    throw new TableOpenError(`open database ${path}: ${errorText(error)}`, { cause: error });
  }
}

interface Source {
  readonly bytes: Buffer;
  readonly from: string;
  readonly target: string;
}

function putLines(file: NewIndexedFile, source: Source, options: BuildOptions): void {
  const { log, parse = parseMapLine, duplicateKeys = 'warn', progress } = options;
  const fold = folding(options);
  const utf8 = usesUtf8(options);
  let count = 0;
  for (const line of sourceLines(source.bytes)) {
    count += 1;
    if (count % PROGRESS_LINES === 0) progress?.(count);
    const warn = (text: string) => log?.warn(`${source.from}, line ${line.line}: ${text}`);
    if (utf8 && !line.utf8) {
      warn(`non-UTF-8 input "${printableBytes(line.text)}" -- ignoring this line`);
      continue;
    }
    const { entry, problem } = parse(line);
    if (problem !== undefined) warn(problem);
    if (entry === undefined) continue;
    let { value } = entry;
    if (options.valuesAreFiles) {
      try {
        value = readFileSync(value).toString('base64');
      } catch (error) {
        warn(`open ${value}: ${errorText(error)}: skipping this entry`);
        continue;
      }
    }
    const key = fold(entry.key);
    const result = file.put(key, value, duplicateKeys === 'replace');
    if (result === 'duplicate' && duplicateKeys === 'warn') {
      log?.warn(`${source.target}: duplicate entry: "${key}"`);
    }
  }
}
