/** What postmap(1) and postalias(1) share: make, change and ask tables. */
import { readFileSync } from 'node:fs';
import { type Configuration, loadConfiguration } from '../../lib/config/configuration.ts';
import { importEnvironment } from '../../lib/config/environment.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { type Log, openLog } from '../../lib/log/log.ts';
import { withType } from '../../lib/table/aliases-file.ts';
import {
  type Answer,
  openTableOrThrow,
  type Table,
  type TableContext,
  TableError,
  TableOpenError,
} from '../../lib/table/table.ts';
import { type BuildOptions, removeKeys } from '../../lib/table/table-build.ts';
import {
  type OptionSyntax,
  type ParsedOptions,
  parseOptions,
  UsageError,
} from '../options/options.ts';
import { asOwnerOf } from './owner.ts';
import { openProgress } from './progress.ts';
import { isProxied, removeProxied, whyNotMade } from './proxied.ts';

/** How the two commands differ. */
export interface MapCommand extends OptionSyntax {
  readonly program: string;
  /** Makes `type:path` from its source, or from `input`. */
  readonly build: (name: string, options: BuildOptions, input?: Buffer) => void;
  /** `-s` and `-q -` print a key and its value. */
  readonly format: (key: string, value: string) => string;
  /** The keys of `-q -`, when they are not just lines. */
  readonly queryKeys?: (
    options: ParsedOptions,
    bytes: Buffer,
    configuration: Configuration,
  ) => readonly string[] | undefined;
}

/** One run of the command. */
interface Run {
  readonly command: MapCommand;
  readonly options: ParsedOptions;
  readonly configuration: Configuration;
  readonly context: TableContext;
  readonly maps: readonly string[];
}

/** Runs the command; sets the exit status of the process. */
export async function runMapCommand(command: MapCommand, argv: readonly string[]): Promise<void> {
  let log: Log | undefined;
  try {
    const options = parseOptions(argv, command);
    if (options.has('c')) process.env['MAIL_CONFIG'] = options.value('c');
    checkModes(options, command);
    const configuration = loadConfiguration({ processName: command.program });
    importEnvironment(configuration);
    log = openLog({ program: command.program, configuration, to: 'both' });
    for (const warning of configuration.warnings) log.warn(warning);
    const maps = options.operands.map((name) => withType(name, configuration));
    const context = contextOf(options, configuration, log);
    process.exitCode = await runMode({ command, options, configuration, context, maps });
  } catch (error) {
    fail(command.program, error, log);
  }
}

function fail(program: string, error: unknown, opened: Log | undefined): void {
  const log = opened ?? openLog({ program, to: 'terminal' });
  if (error instanceof UsageError && error.hint !== undefined) {
    process.stderr.write(`${program}: ${error.hint}\n`);
  }
  log.fatal(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

function checkModes(options: ParsedOptions, { usage }: MapCommand): void {
  let before = '';
  for (const [flag] of options.given) {
    if (flag !== 's' && flag !== 'q' && flag !== 'd') continue;
    if (before !== '' && (flag !== 's' || before !== 's')) {
      throw new FatalError(`specify only one of -s ${flag === 's' ? 'or ' : ''}-q or -d`);
    }
    before = flag;
  }
  if (['b', 'h', 'm'].some((flag) => options.has(flag)) && options.value('q') !== '-') {
    throw new FatalError('specify -b -h or -m only with "-q -"');
  }
  if (options.operands.length === 0) throw new UsageError(undefined, usage);
}

function contextOf(options: ParsedOptions, configuration: Configuration, log: Log): TableContext {
  const bodyQuery = options.has('b') || options.has('h');
  return {
    configuration,
    log,
    fold: !options.has('f'),
    valuesAreFiles: options.has('F'),
    duplicates: true,
    ...(options.has('u') || (bodyQuery && !options.has('U')) ? { utf8: false } : {}),
  };
}

async function runMode(run: Run): Promise<number> {
  const { options } = run;
  if (options.has('s')) return dump(run);
  const query = options.value('q');
  if (query !== undefined) return query === '-' ? queryInput(run) : queryKey(run, query);
  const key = options.value('d');
  if (key !== undefined) return remove(run, key === '-' ? readLines() : [key]);
  build(run);
  return 0;
}

function build({ command, options, context, maps }: Run): void {
  const incremental = options.has('i');
  const input = incremental ? readFileSync(0) : undefined;
  const how: BuildOptions = {
    ...context,
    incremental,
    copyMode: !options.has('p'),
    duplicateKeys: duplicateKeys(options),
  };
  for (const name of maps) {
    if (isProxied(name)) throw new FatalError(whyNotMade(incremental));
    const progress = openProgress(`${command.program}: ${name}`);
    const action = () => command.build(name, { ...how, ...progress?.options }, input);
    try {
      if (options.has('o')) action();
      else asOwnerOf(name.slice(name.indexOf(':') + 1), action);
    } finally {
      progress?.end();
    }
  }
}

/** Of -r and -w the last one counts. */
function duplicateKeys({ given }: ParsedOptions): BuildOptions['duplicateKeys'] {
  const last = given.findLast(([name]) => name === 'r' || name === 'w')?.[0];
  if (last === undefined) return 'warn';
  return last === 'r' ? 'replace' : 'ignore';
}

async function remove({ context, maps }: Run, keys: readonly string[]): Promise<number> {
  let any = false;
  for (const name of maps) {
    if (isProxied(name)) {
      any = (await removeProxied(name, keys, context)) || any;
      continue;
    }
    const action = () => {
      any = removeKeys(name, keys, context).length > 0 || any;
    };
    asOwnerOf(name.slice(name.indexOf(':') + 1), action);
  }
  return any ? 0 : 1;
}

function dump({ command, maps, context, options }: Run): number {
  // Postfix, too, shows no more than one.
  const [name = ''] = maps;
  if (isProxied(name)) throw new FatalError("can't sequence maps via the proxy service");
  const table = openTableOrThrow(name, context);
  try {
    if (table.entries === undefined) {
      throw new FatalError(`table ${name}: sequence operation is not supported`);
    }
    print(table.entries(), command, options);
  } finally {
    table.close();
  }
  return 0;
}

const CHUNK_CHARACTERS = 1 << 16;

/** Lines for stdout, many of them with one write. */
class Output {
  any = false;
  #text = '';

  line(text: string): void {
    this.any = true;
    this.#text += `${text}\n`;
    if (this.#text.length < CHUNK_CHARACTERS) return;
    this.end();
  }

  end(): void {
    process.stdout.write(this.#text);
    this.#text = '';
  }
}

function print(
  entries: Iterable<readonly [string, string]>,
  { format }: MapCommand,
  options: ParsedOptions,
): void {
  const output = new Output();
  for (const [key, value] of entries) output.line(format(key, decoded(value, options)));
  output.end();
}

async function queryKey({ maps, context, options }: Run, key: string): Promise<number> {
  for (const name of maps) {
    const value = await askOnce(name, key, context);
    if (value === undefined) continue;
    process.stdout.write(`${decoded(value, options)}\n`);
    return 0;
  }
  return 1;
}

async function askOnce(
  name: string,
  key: string,
  context: TableContext,
): Promise<string | undefined> {
  const table = openTableOrThrow(name, context);
  try {
    return await ask(table, key, context);
  } finally {
    // A table may have a connection open, which would keep us here.
    table.close();
  }
}

async function queryInput(run: Run): Promise<number> {
  const { command, maps, context, options } = run;
  const bytes = readFileSync(0);
  const keys = command.queryKeys?.(options, bytes, run.configuration) ?? lines(bytes);
  const tables = maps.map((name) => openTableOrThrow(name, context));
  try {
    return (await queryKeys(keys, tables, run)) ? 0 : 1;
  } finally {
    for (const table of tables) table.close();
  }
}

/** @returns whether any was found */
async function queryKeys(
  keys: readonly string[],
  tables: readonly Table[],
  { command, context, options }: Run,
): Promise<boolean> {
  const output = new Output();
  try {
    for (const key of keys) {
      for (const table of tables) {
        // Nothing is waited for where the answer is there: this is most of a long list's time.
        const answer = ask(table, key, context);
        const value = answer instanceof Promise ? await answer : answer;
        if (value === undefined) continue;
        output.line(command.format(key, decoded(value, options)));
        break;
      }
    }
  } finally {
    output.end();
  }
  return output.any;
}

function ask(table: Table, key: string, context: TableContext): Answer {
  try {
    const answer = table.lookup(key);
    if (!(answer instanceof Promise)) return checked(answer, table, key, context);
    return answer.then(
      (value) => checked(value, table, key, context),
      (error: unknown) => failed(error, table),
    );
  } catch (error) {
    return failed(error, table);
  }
}

function checked(
  value: string | undefined,
  table: Table,
  key: string,
  { log }: TableContext,
): string | undefined {
  if (value !== '') return value;
  log?.warn(`table ${table.name}: key ${key}: empty string result is not allowed`);
  log?.warn(`table ${table.name} should return NO RESULT in case of NOT FOUND`);
  return value;
}

function failed(error: unknown, table: Table): never {
  if (!(error instanceof TableError)) throw error;
  // A table that could not be opened until now says so as it would have then.
  if (error instanceof TableOpenError) throw error;
  const prefix = `table ${table.name}: `;
  const message = error.message.startsWith(prefix) ? error.message : prefix + error.message;
  throw new FatalError(message, { cause: error });
}

/** `-F`: the table holds the base64 of a file's contents. */
function decoded(value: string, options: ParsedOptions): string {
  return options.has('F') ? Buffer.from(value, 'base64').toString() : value;
}

function readLines(): string[] {
  return lines(readFileSync(0));
}

function lines(bytes: Buffer): string[] {
  const all = bytes.toString().split('\n');
  if (all.at(-1) === '') all.pop();
  return all;
}
