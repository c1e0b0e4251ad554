/**
 * Command-line options, getopt(3) style: `-fX` is `-f X`, `-vv` is `-v -v`, options may follow
 * operands only where a command says so. Only here: yargs.
 */
import yargs from 'yargs/yargs';

/** How one command reads its arguments. */
export interface OptionSyntax {
  /** getopt's notation: `'c:vq'` means `-c value`, `-v`, `-q`. */
  readonly flags: string;
  /** What follows `usage: ` when the command line is wrong. */
  readonly usage: string;
}

/** What a command line said, in the order it was said. */
export interface ParsedOptions {
  /** Each option as it came: `[['c', '/etc/postfix'], ['v', '']]`. */
  readonly given: readonly (readonly [flag: string, value: string])[];
  readonly operands: readonly string[];
  has(flag: string): boolean;
  /** How often it was given: `-vv` is 2. */
  count(flag: string): number;
  /** The last value of an option, or undefined when it was not given. */
  value(flag: string): string | undefined;
  /** All its values, in order. */
  values(flag: string): readonly string[];
}

/** A wrong command line. `hint` is getopt's own line (`invalid option -- 'Z'`); `message` the usage. */
export class UsageError extends Error {
  readonly hint: string | undefined;
  constructor(hint: string | undefined, usage: string) {
    super(`usage: ${usage}`);
    this.name = 'UsageError';
    this.hint = hint;
  }
}

/**
 * Splits a command line (without node and script) as getopt(3) does: stops at the first operand or
 * after `--`.
 *
 * @throws {UsageError} print `hint` first, then `fatal: ` and the message
 */
export function parseOptions(argv: readonly string[], syntax: OptionSyntax): ParsedOptions {
  const { words, operands } = split(argv, syntax);
  const parsed = yargs()
    .help(false)
    .version(false)
    .exitProcess(false)
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': true,
      'greedy-arrays': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'short-option-groups': false,
    })
    .options(Object.fromEntries(flagsOf(syntax).map((flag) => [flag, { type: 'string' }])))
    // It takes quotes off, and more: it gets the place of each value, not the value.
    .parseSync(words.map(([flag], place) => `-${flag}=${place}`));
  const valuesOf = (flag: string): readonly string[] => {
    const found = (parsed[flag] ?? []) as string | readonly string[];
    const places = typeof found === 'string' ? [found] : found;
    return places.map((place) => words[Number(place)]?.[1] as string);
  };
  return {
    given: words.map(([flag, value]) => [flag.slice(1), value]),
    operands,
    has: (flag) => valuesOf(flag).length > 0,
    count: (flag) => valuesOf(flag).length,
    value: (flag) => valuesOf(flag).at(-1),
    values: valuesOf,
  };
}

function flagsOf(syntax: OptionSyntax): string[] {
  return [...syntax.flags].filter((letter) => letter !== ':');
}

function split(argv: readonly string[], syntax: OptionSyntax) {
  const words: [string, string][] = [];
  let index = 0;
  for (; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') {
      index += 1;
      break;
    }
    if (!word.startsWith('-') || word === '-') break;
    for (let at = 1; at < word.length; at += 1) {
      const flag = word.charAt(at);
      const known = flag === ':' ? -1 : syntax.flags.indexOf(flag);
      if (known < 0) throw new UsageError(`invalid option -- '${flag}'`, syntax.usage);
      if (syntax.flags.charAt(known + 1) !== ':') {
        words.push([`-${flag}`, '']);
        continue;
      }
      let value = word.slice(at + 1);
      if (value === '') {
        index += 1;
        const next = argv[index];
        if (next === undefined) {
          throw new UsageError(`option requires an argument -- '${flag}'`, syntax.usage);
        }
        value = next;
      }
      words.push([`-${flag}`, value]);
      break;
    }
  }
  return { words, operands: argv.slice(index) };
}

/** What a long option is followed by. */
export type LongOptionKind = 'value' | 'flag';

/** What long options said: the values of each, in order. */
export type LongOptions<Names extends string> = ReadonlyMap<Names, readonly string[]>;

/**
 * Reads long options, for what no getopt ever had a letter for: `--client 192.0.2.1`, `--tls`. A
 * value may start with a hyphen, or be empty.
 *
 * @throws {UsageError}
 */
export function parseLongOptions<const Names extends string>(
  argv: readonly string[],
  kinds: Readonly<Record<Names, LongOptionKind>>,
  usage: string,
): LongOptions<Names> {
  const words: [Names, string][] = [];
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    const [, name = '', glued] = /^--([a-z-]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (!Object.hasOwn(kinds, name)) throw new UsageError(`unknown option: ${word}`, usage);
    const isFlag = kinds[name as Names] === 'flag';
    if (isFlag && glued !== undefined) {
      throw new UsageError(`option --${name} takes no value`, usage);
    }
    if (!isFlag && glued === undefined) at += 1;
    const value = isFlag ? '' : (glued ?? argv[at]);
    if (value === undefined) throw new UsageError(`option --${name} needs a value`, usage);
    words.push([name as Names, value]);
  }
  const values = new Map<Names, string[]>();
  for (const [name, value] of words) values.set(name, [...(values.get(name) ?? []), value]);
  return values;
}
