/** `$name` in a value: main.cf's macro language, postconf(5). */

/** Deeper than any configuration that does not call itself. */
const NESTING_MAX = 100;

/** The text is malformed, or a name refers to itself. `message` is the warning Postfix prints. */
export class ExpansionError extends Error {}

/** The unexpanded value of a name; undefined when there is none. */
export type Lookup = (name: string) => string | undefined;

/**
 * Replaces `$name`, `${name?{then}:{else}}`, `${{a} == {b} ? {then} : {else}}` and `$$`.
 *
 * @throws {ExpansionError}
 */
export function expand(text: string, lookup: Lookup): string {
  return text.includes('$') ? expandNested(text, lookup, 0) : text;
}

function expandNested(text: string, lookup: Lookup, depth: number): string {
  let result = '';
  let from = 0;
  for (;;) {
    const dollar = text.indexOf('$', from);
    if (dollar < 0) return result + text.slice(from);
    result += text.slice(from, dollar);
    const next = text.charAt(dollar + 1);
    if (next === '$') {
      result += '$';
      from = dollar + 2;
    } else if (next === '{' || next === '(') {
      const end = findClosing(text, dollar + 1);
      if (end < 0) throw new ExpansionError(`truncated macro reference: "${text}"`);
      const body = text.slice(dollar + 2, end);
      if (body === '') throw new ExpansionError(`empty macro name: "${text.slice(0, end + 1)}"`);
      result += expandBody(body, lookup, depth);
      from = end + 1;
    } else {
      const end = endOfName(text, dollar + 1);
      if (end === dollar + 1) throw new ExpansionError(`empty macro name: "${text}"`);
      result += valueOfName(text.slice(dollar + 1, end), lookup, depth);
      from = end;
    }
  }
}

function valueOfName(name: string, lookup: Lookup, depth: number): string {
  if (depth > NESTING_MAX) {
    throw new ExpansionError(`unreasonable macro call nesting: "${name}"`);
  }
  const value = lookup(name);
  if (value === undefined || !value.includes('$')) return value ?? '';
  return expandNested(value, lookup, depth + 1);
}

/** What is between the braces of `${...}`. */
function expandBody(body: string, lookup: Lookup, depth: number): string {
  const first = skipBlanks(body, 0);
  let value: string;
  let at: number;
  if (body.charAt(first) === '{') {
    ({ value, at } = compare(body, first, lookup, depth));
    if (at < body.length && !'?:'.includes(body.charAt(at))) fail('"?" or ":"', '}', body, at);
  } else {
    const end = endOfName(body, first);
    at = skipBlanks(body, end);
    if (at < body.length && !'?:'.includes(body.charAt(at))) {
      throw new ExpansionError(
        `attribute name syntax error at: "...${body.slice(0, end)}>>>${body.slice(end)}"`,
      );
    }
    value = valueOfName(body.slice(first, end), lookup, depth);
  }
  if (at >= body.length) return value;
  const chosen = choose(body, at, value !== '');
  return chosen.includes('$') ? expandNested(chosen, lookup, depth + 1) : chosen;
}

/** `?then`, `?{then}:{else}` or `:else`, which starts at `at`. */
function choose(body: string, at: number, truth: boolean): string {
  const start = skipBlanks(body, at + 1);
  if (body.charAt(start) !== '{') {
    const rest = body.slice(start);
    return truth === (body.charAt(at) === '?') ? rest : '';
  }
  const end = closing(body, start);
  const text = body.slice(skipBlanks(body, start + 1), end);
  const next = skipBlanks(body, end + 1);
  if (body.charAt(at) === ':') {
    if (next < body.length) unexpected(text, body, next);
    return truth ? '' : text;
  }
  if (next >= body.length) return truth ? text : '';
  if (body.charAt(next) !== ':') fail('":"', text + '}', body, next);
  const otherwise = choose(body, next, false);
  return truth ? text : otherwise;
}

/** All that could be an operator; whether it is one is another question. */
const OPERATOR = /([<>!=?+\-*/~&|%]+)(level)?/y;
const OPERATORS = ['==', '!=', '<=', '>=', '<', '>'];

/** `{left} operator {right}`: `true` or nothing, and where what follows it starts. */
function compare(body: string, start: number, lookup: Lookup, depth: number) {
  const leftEnd = closing(body, start);
  const left = body.slice(start + 1, leftEnd);
  OPERATOR.lastIndex = skipBlanks(body, leftEnd + 1);
  const found = OPERATOR.exec(body);
  if (found === null || !OPERATORS.includes(found[1] ?? '')) {
    const expected = '"==" or "!="" or "<"" or "<="" or ">="" or ">"';
    return fail(expected, left + '}', body, skipBlanks(body, leftEnd + 1));
  }
  const operator = found[1] ?? '';
  const rightStart = skipBlanks(body, OPERATOR.lastIndex);
  if (body.charAt(rightStart) !== '{') {
    return fail('"{expression}"', body.slice(start, OPERATOR.lastIndex), body, OPERATOR.lastIndex);
  }
  const rightEnd = closing(body, rightStart);
  const right = body.slice(rightStart + 1, rightEnd);
  const order = (found[2] === undefined ? compareValues : compareLevels)(
    expandNested(left, lookup, depth + 1),
    expandNested(right, lookup, depth + 1),
  );
  return { value: holds(operator, order) ? 'true' : '', at: skipBlanks(body, rightEnd + 1) };
}

function holds(operator: string, order: number): boolean {
  switch (operator) {
    case '==':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    default:
      return order >= 0;
  }
}

/** As numbers when both are, else as strings. */
function compareValues(left: string, right: string): number {
  if (/^\d+$/.test(left) && /^\d+$/.test(right)) {
    const difference = BigInt(left) - BigInt(right);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareLevels(left: string, right: string): number {
  const [a, b] = [parseLevel(left), parseLevel(right)];
  for (let part = 0; part < 3; part += 1) {
    const difference = (a[part] ?? 0) - (b[part] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What the first part of a level may be at most, and the others: Postfix packs them into a long. */
const MAJOR_MAX = 2 ** 43 - 1;
const MINOR_MAX = 1023;

/** A compatibility level, `3.6`; parts that are not there are 0. */
export function parseLevel(text: string): readonly number[] {
  const parts = /^\s*\+?\d{1,13}(\.\s*\+?\d{1,4}){0,2}$/.test(text)
    ? text.split('.').map(Number)
    : [];
  const fits = parts.every((part, at) => part <= (at === 0 ? MAJOR_MAX : MINOR_MAX));
  if (parts.length > 0 && fits) return parts;
  throw new ExpansionError(`malformed compatibility level syntax: "${text}"`);
}

/** The offset of the brace that closes the one at `open`, or -1. */
export function findClosing(text: string, open: number): number {
  const [left, right] = text.charAt(open) === '(' ? ['(', ')'] : ['{', '}'];
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === left) depth += 1;
    else if (character === right && --depth === 0) return at;
  }
  return -1;
}

function closing(body: string, open: number): number {
  const end = findClosing(body, open);
  if (end >= 0) return end;
  throw new ExpansionError(`unbalanced {} in attribute expression: "${body.slice(open)}"`);
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && /\s/.test(text.charAt(at))) at += 1;
  return at;
}

function endOfName(text: string, from: number): number {
  let at = from;
  while (at < text.length && /[A-Za-z0-9_]/.test(text.charAt(at))) at += 1;
  return at;
}

function fail(expected: string, left: string, body: string, at: number): never {
  throw new ExpansionError(`${expected} expected at: "...${left}>>>${body.slice(at)}"`);
}

function unexpected(left: string, body: string, at: number): never {
  throw new ExpansionError(`unexpected input at: "...${left}}>>>${body.slice(at)}"`);
}
