/** cidr tables: networks in order. Postfix: cidr_table(5). */
import type { Table, TableContext } from './definition.ts';
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
import { openRules } from './rule-source.ts';
import { type SourceLine, skipBlanks, skipWord } from './source-lines.ts';

/** `cidr:/file`. A question that is no IP address has no answer. */
export function openCidr(name: string, context: TableContext): Table {
  const source = openRules('cidr', name, context);
  const warn = (line: number, text: string) =>
    context.log?.warn(`cidr map ${name}, line ${line}: ${text}`);
  const rules: Rule<AddressWords>[] = [];
  let depth = 0;
  for (const line of source.lines) {
    try {
      const rule = parseRule(line, depth, (path) => resultOf(path, name, context));
      if (rule.kind === 'if') depth += 1;
      if (rule.kind === 'endif') depth -= 1;
      rules.push(rule);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      warn(line.line, `${error.message}: skipping this rule`);
    }
  }
  const { find, lineOf } = arrange(rules, (line) => warn(line, 'IF has no matching ENDIF'));
  return {
    name: `cidr:${name}`,
    pattern: true,
    lookup(key) {
      const address = parseAddress(key);
      return address === undefined ? undefined : find(address);
    },
    lineOf(key) {
      const address = parseAddress(key);
      return address === undefined ? undefined : lineOf(address);
    },
    changed: () => source.file?.changed() ?? false,
    close: () => source.file?.close(),
  };
}

function resultOf(text: string, name: string, context: TableContext): string {
  return context.valuesAreFiles ? fileContents(text, name) : text;
}

/** @throws {NetworkError} with what is wrong */
function parseRule(
  { text, line }: SourceLine,
  depth: number,
  resultOf: (text: string) => string,
): Rule<AddressWords> {
  if (/^endif/i.test(text)) {
    if (depth === 0) throw new NetworkError('ENDIF without IF');
    if (text.length > 5) throw new NetworkError('garbage after ENDIF');
    return { kind: 'endif', line };
  }
  if (/^if\s/i.test(text) || /^if!/i.test(text)) {
    return { kind: 'if', line, matches: parseCondition(text.slice(skipBlanks(text, 2))) };
  }
  const start = text.startsWith('!') ? skipBlanks(text, 1) : 0;
  const end = skipWord(text, start);
  const matches = parseCondition(text.slice(0, end));
  const result = text.slice(skipBlanks(text, end));
  if (result === '') throw new NetworkError('no lookup result');
  const answer = resultOf(result);
  return { kind: 'result', line, answer: (address) => (matches(address) ? answer : undefined) };
}

function parseCondition(text: string): (address: AddressWords) => boolean {
  const negated = text.startsWith('!');
  const pattern = negated ? text.slice(skipBlanks(text, 1)) : text;
  if (pattern === '') throw new NetworkError('no address pattern');
  const network: Network = parseNetwork(pattern);
  // What is outside of an IPv4 network is another IPv4 address, and never one of IPv6.
  return (address) =>
    network.words.length === address.length && contains(network, address) !== negated;
}
