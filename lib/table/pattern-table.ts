/** regexp and pcre tables: `/pattern/flags result`, in order. Postfix: regexp_table(5). */
import { havePcre, PCRE_OPTION, Pcre, PcreError, PcreLimitError } from '../os/pcre.ts';
import { Regex, RegexError } from '../os/regex.ts';
import { type Table, type TableContext, TableOpenError } from './definition.ts';
import { LineWarnings } from './line-warnings.ts';
import { fileContents } from './memory-table.ts';
import { isCostly } from './pattern-cost.ts';
import {
  expandReplacement,
  highestGroup,
  namesGroups,
  parseReplacement,
  ReplacementError,
} from './replacement.ts';
import { arrange, type Rule } from './rule-blocks.ts';
import { openRules, resultChecker, tooManyRules } from './rule-source.ts';
import { type SourceLine, skipBlanks, skipWord } from './source-lines.ts';

/** A compiled pattern of either kind. */
interface Pattern {
  readonly groups: number;
  readonly isCostly: boolean;
  test(text: string): boolean;
  match(text: string, groups: number): string[] | undefined;
  close(): void;
}

/** What the two types do differently. */
interface Dialect {
  readonly type: 'regexp' | 'pcre';
  readonly unclosed: string;
  /** So many take a gigabyte of memory. */
  readonly rulesMax: number;
  /** @throws {PatternProblem} */
  compile(pattern: string, flags: string): Pattern;
}

/** A rule that cannot be used; the message is logged behind file and line. */
class PatternProblem extends Error {}

/** `regexp:/file`: the C library's expressions. */
export function openRegexp(name: string, context: TableContext): Table {
  return openPatterns(REGEXP, name, context);
}

/** `pcre:/file`: Perl's expressions. */
export function openPcre(name: string, context: TableContext): Table {
  if (!havePcre()) {
    throw new TableOpenError(
      'unsupported dictionary type: pcre. Install libpcre2-8 (Debian: libpcre2-8-0)',
    );
  }
  return openPatterns(PCRE, name, context);
}

/** As libpcre2 has it. libc would compile 10 MB for ten seconds, into two gigabytes. */
const REGEXP_LENGTH_MAX = 65_536;

const REGEXP: Dialect = {
  type: 'regexp',
  unclosed: 'skipping this rule',
  rulesMax: 50_000,
  compile(pattern, letters) {
    const flags = { extended: true, ignoreCase: true, multiLine: false };
    for (const letter of letters) {
      if (letter === 'i') flags.ignoreCase = !flags.ignoreCase;
      else if (letter === 'x') flags.extended = !flags.extended;
      else if (letter === 'm') flags.multiLine = !flags.multiLine;
      else throw new PatternProblem(`unknown regexp option "${letter}": skipping this rule`);
    }
    if (pattern.length > REGEXP_LENGTH_MAX) {
      throw new PatternProblem(
        `expression of ${pattern.length} characters, more than ${REGEXP_LENGTH_MAX}: skipping this rule`,
      );
    }
    try {
      return Object.assign(new Regex(pattern, flags), { isCostly: isCostly(pattern) });
    } catch (error) {
      throw error instanceof RegexError ? new PatternProblem(error.message) : error;
    }
  },
};

const PCRE_LETTERS: Readonly<Record<string, number>> = {
  i: PCRE_OPTION.caseless,
  m: PCRE_OPTION.multiLine,
  s: PCRE_OPTION.dotAll,
  x: PCRE_OPTION.extended,
  A: PCRE_OPTION.anchored,
  E: PCRE_OPTION.dollarEndOnly,
  U: PCRE_OPTION.ungreedy,
  // "Extra": PCRE2 always refuses unknown escapes, which is what it asked for.
  X: 0,
};

const PCRE: Dialect = {
  type: 'pcre',
  unclosed: 'ignoring this rule',
  rulesMax: 300_000,
  compile(pattern, letters) {
    let options: number = PCRE_OPTION.caseless | PCRE_OPTION.dotAll;
    for (const letter of letters) {
      const bit = PCRE_LETTERS[letter];
      if (bit === undefined) {
        throw new PatternProblem(`unknown pcre option "${letter}": skipping this rule`);
      }
      options ^= bit;
    }
    try {
      return Object.assign(new Pcre(pattern, options), { isCostly: false });
    } catch (error) {
      if (!(error instanceof PcreError)) throw error;
      throw new PatternProblem(`error in regex at offset ${error.offset}: ${error.message}`);
    }
  },
};

function openPatterns(dialect: Dialect, name: string, context: TableContext): Table {
  const source = openRules(dialect.type, name);
  const patterns: Pattern[] = [];
  const warnings = new LineWarnings(`${dialect.type} map ${name}`, context);
  const close = () => {
    source.file?.close();
    for (const pattern of patterns) pattern.close();
  };
  const parser = new RuleParser(dialect, name, context, { patterns, warnings });
  const rules = orClose(() => parser.parse(source.lines), close);
  const { find, lineOf } = arrange(rules, (line) => warnings.add(line, 'IF has no matching ENDIF'));
  warnings.end();
  return {
    name: `${dialect.type}:${name}`,
    pattern: true,
    mayStall: true,
    mayStallForLong: patterns.some(({ isCostly }) => isCostly),
    lookup: find,
    lineOf,
    changed: () => source.file?.changed() ?? false,
    close,
  };
}

function orClose<Value>(make: () => Value, close: () => void): Value {
  try {
    return make();
  } catch (error) {
    close();
    throw error;
  }
}

/** `/pattern/flags` at the start of `text`, perhaps negated, and what follows it. */
interface Condition {
  readonly negated: boolean;
  readonly pattern: Pattern;
  readonly rest: string;
}

/** What parsing makes besides rules. */
interface Made {
  readonly patterns: Pattern[];
  readonly warnings: LineWarnings;
}

class RuleParser {
  readonly #dialect: Dialect;
  readonly #name: string;
  readonly #context: TableContext;
  readonly #patterns: Pattern[];
  readonly #warnings: LineWarnings;
  #depth = 0;

  constructor(dialect: Dialect, name: string, context: TableContext, { patterns, warnings }: Made) {
    this.#dialect = dialect;
    this.#name = name;
    this.#context = context;
    this.#patterns = patterns;
    this.#warnings = warnings;
  }

  parse(lines: Iterable<SourceLine>): Rule<string>[] {
    const rules: Rule<string>[] = [];
    const { type, rulesMax } = this.#dialect;
    for (const line of lines) {
      if (rules.length === rulesMax) throw tooManyRules(`${type} map ${this.#name}`, rulesMax);
      try {
        rules.push(this.#rule(line));
      } catch (error) {
        if (error instanceof PatternProblem) this.#warn(line, error.message);
        else if (error instanceof ReplacementError) {
          for (const text of error.lines) this.#warnings.addWhole(text);
        } else throw error;
      }
    }
    return rules;
  }

  #rule(line: SourceLine): Rule<string> {
    const { text } = line;
    if (!isAlphanumeric(text.charCodeAt(0))) return this.#result(line);
    if (/^endif/i.test(text)) return this.#endif(line);
    if (/^if/i.test(text)) return this.#if(line);
    throw new PatternProblem('ignoring unrecognized request');
  }

  #if(line: SourceLine): Rule<string> {
    const { negated, pattern, rest } = this.#condition(line.text.slice(2));
    if (rest !== '') {
      this.#warn(line, `ignoring extra text after IF statement: "${rest}"`);
      this.#warn(line, 'do not prepend whitespace to statements between IF and ENDIF');
    }
    this.#depth += 1;
    const matches = this.#guarded(line, (text) => pattern.test(text) !== negated);
    return { kind: 'if', line: line.line, matches: (text) => matches(text) ?? false };
  }

  #endif(line: SourceLine): Rule<string> {
    if (this.#depth === 0) throw new PatternProblem('ignoring ENDIF without matching IF');
    this.#depth -= 1;
    if (line.text.length > 5) this.#warn(line, 'ignoring extra text after ENDIF');
    return { kind: 'endif', line: line.line };
  }

  #result(line: SourceLine): Rule<string> {
    const where = `${this.#dialect.type} map ${this.#name}, line ${line.line}`;
    const { negated, pattern, rest } = this.#condition(line.text);
    if (rest === '') this.#warn(line, 'no replacement text: using empty string');
    const value = this.#context.valuesAreFiles && rest !== '' ? fileContents(rest, where) : rest;
    const pieces = parseReplacement(value, where);
    if (namesGroups(pieces)) this.#checkGroups(pieces, negated, pattern);
    const groups = highestGroup(pieces);
    const check = resultChecker(`${this.#dialect.type}:${this.#name}`, line, this.#context);
    if (!namesGroups(pieces)) {
      const answer = expandReplacement(pieces, []);
      return {
        kind: 'result',
        line: line.line,
        answer: this.#guarded(line, (text) => {
          return pattern.test(text) !== negated ? check(answer, text) : undefined;
        }),
      };
    }
    return {
      kind: 'result',
      line: line.line,
      answer: this.#guarded(line, (text) => {
        const found = pattern.match(text, groups);
        return found === undefined ? undefined : check(expandReplacement(pieces, found), text);
      }),
    };
  }

  /** A rule that the library gives up on is as if it were not there; Postfix does the same. */
  #guarded<Value>(
    line: SourceLine,
    ask: (text: string) => Value,
  ): (text: string) => Value | undefined {
    return (text) => {
      try {
        return ask(text);
      } catch (error) {
        if (!(error instanceof PcreLimitError || error instanceof RegexError)) throw error;
        const { type } = this.#dialect;
        this.#context.log?.warn(`${type} map ${this.#name}, line ${line.line}: ${error.message}`);
        return undefined;
      }
    };
  }

  #checkGroups(pieces: readonly (string | number)[], negated: boolean, pattern: Pattern): void {
    if (negated) {
      throw new PatternProblem(
        '$number found in negative match replacement text: skipping this rule',
      );
    }
    if (this.#context.substitution === false) {
      throw new PatternProblem(
        'regular expression substitution is not allowed: skipping this rule',
      );
    }
    const wrong = pieces.find(
      (piece) => typeof piece === 'number' && (piece < 1 || piece > pattern.groups),
    );
    if (wrong !== undefined) {
      throw new PatternProblem(`out of range replacement index "${wrong}": skipping this rule`);
    }
  }

  /** Parses `[!]/pattern/flags rest`; the first character is the delimiter, whatever it is. */
  #condition(text: string): Condition {
    let at = skipBlanks(text, 0);
    let negated = false;
    while (text[at] === '!') {
      negated = !negated;
      at = skipBlanks(text, at + 1);
    }
    const dialect = this.#dialect;
    if (at >= text.length) throw new PatternProblem(`no regexp: ${dialect.unclosed}`);
    const delimiter = text.charAt(at);
    const end = closingDelimiter(text, at + 1, delimiter);
    if (end < 0) {
      throw new PatternProblem(`no closing regexp delimiter "${delimiter}": ${dialect.unclosed}`);
    }
    const flagsEnd = skipWord(text, end + 1);
    const pattern = dialect.compile(text.slice(at + 1, end), text.slice(end + 1, flagsEnd));
    this.#patterns.push(pattern);
    return { negated, pattern, rest: text.slice(skipBlanks(text, flagsEnd)) };
  }

  #warn({ line }: SourceLine, text: string): void {
    this.#warnings.add(line, text);
  }
}

function closingDelimiter(text: string, from: number, delimiter: string): number {
  for (let at = from; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\') at += 1;
    else if (character === delimiter) return at;
  }
  return -1;
}

function isAlphanumeric(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
}
