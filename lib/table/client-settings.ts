/** The configuration file of a table that asks a database: `name = value`, as in main.cf. */
import { parseLogicalLines } from '../config/logical-lines.ts';
import { type TableContext, TableOpenError } from './definition.ts';
import { openWatched, readSource, type WatchedFile } from './source-file.ts';
import { trim } from './source-lines.ts';

/** What such a table was told. */
export interface ClientSettings {
  /** The file, or what parameters of main.cf begin with: for messages. */
  readonly where: string;
  readonly file: WatchedFile | undefined;
  /** @throws {TableOpenError} when it is shorter than `min` */
  text(name: string, fallback: string, min?: number): string;
  /** @throws {TableOpenError} */
  number(name: string, fallback: number): number;
}

/**
 * Reads `/path/file.cf`; any other name is the start of parameters in main.cf: `name_dbpath`.
 *
 * @throws {TableOpenError} with file and line
 */
export function readClientSettings(name: string, context: TableContext): ClientSettings {
  if (!/^[/.]/.test(name)) {
    const { configuration } = context;
    return settingsOf(
      name,
      `${name}_`,
      undefined,
      (item) => configuration?.text(`${name}_${item}`) || undefined,
    );
  }
  const file = openWatched(name, 'open');
  try {
    const values = parseSettings(name, readSource(file).toString('utf8'));
    return settingsOf(name, '', file, (item) => values.get(item));
  } catch (error) {
    file.close();
    throw error;
  }
}

function parseSettings(path: string, text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const { text: line, line: number } of parseLogicalLines(text)) {
    const equals = line.indexOf('=');
    if (equals < 0) {
      const shown = trim(line).slice(0, 100);
      throw new TableOpenError(
        `${path}, line ${number}: missing '=' after attribute name: "${shown}"`,
      );
    }
    values.set(trim(line.slice(0, equals)), trim(line.slice(equals + 1)));
  }
  return values;
}

function settingsOf(
  where: string,
  prefix: string,
  file: WatchedFile | undefined,
  lookup: (name: string) => string | undefined,
): ClientSettings {
  const start = file === undefined ? '' : `${where}: `;
  return {
    where,
    file,
    text(name, fallback, min = 0) {
      const value = lookup(name) ?? fallback;
      if (value.length >= min) return value;
      throw new TableOpenError(
        `${start}bad string length ${value.length} < ${min}: ${prefix}${name} = ${value}`,
      );
    },
    number(name, fallback) {
      const value = lookup(name) ?? '';
      if (value === '') return fallback;
      if (/^\d{1,9}$/.test(value)) return Number(value);
      throw new TableOpenError(`${start}bad numerical configuration: ${prefix}${name} = ${value}`);
    },
  };
}
