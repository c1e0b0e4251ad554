/** Tables that live in memory: texthash, inline, internal. */
import { readFileSync } from 'node:fs';
import { itemsOf, withoutBraces } from './braces.ts';
import { type Table, type TableContext, TableOpenError } from './definition.ts';
import { folding, usesUtf8 } from './fold.ts';
import { LineWarnings } from './line-warnings.ts';
import { parseMapLine } from './map-source.ts';
import { openWatched, readSource, type WatchedFile } from './source-file.ts';
import { MEMORY_BYTES_MAX, printableBytes, sourceLines, trim } from './source-lines.ts';

/** `texthash:/file`: postmap's source, read when the table is opened. */
export function openTextHash(path: string, context: TableContext): Table {
  const file = openWatched(path, 'open database');
  try {
    const entries = readEntries(file, context);
    return memoryTable(`texthash:${path}`, entries, context, file);
  } catch (error) {
    file.close();
    throw error;
  }
}

/** `inline:{key = value, ...}`; the last of two equal keys counts. */
export function openInline(text: string, context: TableContext): Table {
  const name = `inline:${text}`;
  const fold = folding(context);
  const entries = new Map<string, string>();
  for (const item of itemsOf('inline', text, 'name=value')) {
    const [key, value] = splitAssignment(item, name);
    entries.set(fold(key), context.valuesAreFiles ? fileContents(value, name) : value);
  }
  return memoryTable(name, entries, context);
}

/** `internal:name`: a table for a program's own use, empty at first. */
export function openInternal(name: string, context: TableContext): Table {
  const entries = new Map<string, string>();
  const fold = folding(context);
  return {
    ...memoryTable(`internal:${name}`, entries, context),
    update(key, value) {
      entries.set(fold(key), value);
    },
    remove: (key) => entries.delete(fold(key)),
  };
}

function memoryTable(
  name: string,
  entries: ReadonlyMap<string, string>,
  context: TableContext,
  file?: WatchedFile,
): Table {
  const fold = folding(context);
  return {
    name,
    pattern: false,
    lookup: (key) => entries.get(fold(key)),
    entries: () => entries,
    changed: () => file?.changed() ?? false,
    close: () => file?.close(),
  };
}

function readEntries(file: WatchedFile, context: TableContext): Map<string, string> {
  const fold = folding(context);
  const utf8 = usesUtf8(context);
  const entries = new Map<string, string>();
  const { path } = file;
  const warnings = new LineWarnings(path, context);
  const warn = (line: number, text: string) => warnings.add(line, text);
  for (const line of sourceLines(readSource(file, MEMORY_BYTES_MAX))) {
    if (utf8 && !line.utf8) {
      warn(line.line, `non-UTF-8 input "${printableBytes(line.text)}" -- ignoring this line`);
      continue;
    }
    const { entry, problem } = parseMapLine(line);
    if (problem !== undefined) warn(line.line, entry === undefined ? ignoring(problem) : problem);
    if (entry === undefined) continue;
    const key = fold(entry.key);
    if (entries.has(key)) {
      const text = `duplicate entry: "${key}"`;
      // A daemon cannot ask which of two values is meant; a command only shows them.
      if (!context.duplicates) throw new TableOpenError(`${path}, line ${line.line}: ${text}`);
      warn(line.line, text);
      continue;
    }
    entries.set(key, context.valuesAreFiles ? fileContents(entry.value, path) : entry.value);
  }
  warnings.end();
  return entries;
}

function ignoring(problem: string): string {
  return problem.endsWith('ignoring this line') ? problem : `${problem} -- ignoring this line`;
}

function splitAssignment(item: string, name: string): [string, string] {
  const text = withoutBraces(item);
  const equals = text.indexOf('=');
  if (equals < 0) {
    throw new TableOpenError(
      `missing '=' after attribute name: "${name}"; need "inline:{name=value...}"`,
    );
  }
  return [trim(text.slice(0, equals)), trim(text.slice(equals + 1))];
}

/** `postmap -F`: the contents of the file that a value names, in base64. */
export function fileContents(path: string, where: string): string {
  try {
    return readFileSync(path).toString('base64');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TableOpenError(`${where}: ${reason}`, { cause: error });
  }
}
