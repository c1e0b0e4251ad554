/** cidr tables: networks in order. Postfix: cidr_table(5). */
import type { Table, TableContext } from './definition.ts';
import { LineWarnings } from './line-warnings.ts';
import { fileContents } from './memory-table.ts';
import {
  type AddressWords,
  contains,
  type Network,
  NetworkError,
  parseAddress,
  parseNetwork,
} from './network.ts';
import { arrange, type Rule } from './rule-blocks.ts';
import { openRules, type ResultCheck, resultChecker, tooManyRules } from './rule-source.ts';
import { type SourceLine, skipBlanks, skipWord } from './source-lines.ts';

/** Half a gigabyte of memory. */
const RULES_MAX = 2_000_000;

/** What is asked: an address. */
interface Question {
  readonly words: AddressWords;
  readonly key: string;
}

/** `cidr:/file`. A question that is no IP address has no answer. */
export function openCidr(name: string, context: TableContext): Table {
  const source = openRules('cidr', name);
  const warnings = new LineWarnings(`cidr map ${name}`, context);
  const rules: Rule<Question>[] = [];
  let depth = 0;
  for (const line of source.lines) {
    try {
      if (rules.length === RULES_MAX) {
        source.file?.close();
        throw tooManyRules(`cidr map ${name}`, RULES_MAX);
      }
      const rule = parseRule(line, depth, name, context);
      if (rule.kind === 'if') depth += 1;
      if (rule.kind === 'endif') depth -= 1;
      rules.push(rule);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      warnings.add(line.line, `${error.message}: skipping this rule`);
    }
  }
  const { find, lineOf } = arrange(rules, (line) => warnings.add(line, 'IF has no matching ENDIF'));
  warnings.end();
  return {
    name: `cidr:${name}`,
    pattern: true,
    lookup(key) {
      const words = parseAddress(key);
      return words === undefined ? undefined : find({ words, key });
    },
    lineOf(key) {
      const words = parseAddress(key);
      return words === undefined ? undefined : lineOf({ words, key });
    },
    changed: () => source.file?.changed() ?? false,
    close: () => source.file?.close(),
  };
}

/** @throws {NetworkError} with what is wrong */
function parseRule(
  source: SourceLine,
  depth: number,
  name: string,
  context: TableContext,
): Rule<Question> {
  const { text, line } = source;
  if (/^endif/i.test(text)) {
    if (depth === 0) throw new NetworkError('ENDIF without IF');
    if (text.length > 5) throw new NetworkError('garbage after ENDIF');
    return { kind: 'endif', line };
  }
  if (/^if\s/i.test(text) || /^if!/i.test(text)) {
    const { network, negated } = parseCondition(text.slice(skipBlanks(text, 2)));
    return { kind: 'if', line, matches: ({ words }) => matches(network, negated, words) };
  }
  const start = text.startsWith('!') ? skipBlanks(text, 1) : 0;
  const end = skipWord(text, start);
  const condition = parseCondition(text.slice(0, end));
  const result = text.slice(skipBlanks(text, end));
  if (result === '') throw new NetworkError('no lookup result');
  const answer = context.valuesAreFiles ? fileContents(result, name) : result;
  const check = resultChecker(`cidr:${name}`, source, context);
  return new NetworkRule(line, condition, { answer, check });
}

/** Whether an address is in a network, or is not. */
interface Condition {
  readonly network: Network;
  readonly negated: boolean;
}

/** What a rule answers. */
interface Result {
  readonly answer: string;
  readonly check: ResultCheck;
}

/** There may be millions of these: each field counts. */
class NetworkRule {
  readonly kind = 'result';
  readonly line: number;
  readonly #network: Network;
  readonly #negated: boolean;
  readonly #answer: string;
  readonly #check: ResultCheck;

  constructor(line: number, { network, negated }: Condition, { answer, check }: Result) {
    this.line = line;
    this.#network = network;
    this.#negated = negated;
    this.#answer = answer;
    this.#check = check;
  }

  answer({ words, key }: Question): string | undefined {
    if (!matches(this.#network, this.#negated, words)) return undefined;
    return this.#check(this.#answer, key);
  }
}

function parseCondition(text: string): Condition {
  const negated = text.startsWith('!');
  const pattern = negated ? text.slice(skipBlanks(text, 1)) : text;
  if (pattern === '') throw new NetworkError('no address pattern');
  return { network: parseNetwork(pattern), negated };
}

/** What is outside of an IPv4 network is another IPv4 address, and never one of IPv6. */
function matches(network: Network, negated: boolean, words: AddressWords): boolean {
  return network.words.length === words.length && contains(network, words) !== negated;
}
