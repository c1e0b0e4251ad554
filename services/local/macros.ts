/** `$name` in forward_path, luser_relay and command_execution_directory. Pure. */

/** The value of a name; undefined when it has none here. */
export type MacroLookup = (name: string) => string | undefined;

/** What became of a text with macros. */
export interface Expanded {
  readonly text: string;
  /** A name stood there plainly, and had no value: whoever tries several texts skips this one. */
  readonly undefinedName: boolean;
  /** Names whose values are part of the text. */
  readonly used: ReadonlySet<string>;
}

/** A text that is no text with macros. */
export class MacroError extends Error {
  override readonly name = 'MacroError';
}

/** Deeper than anybody nests `${a?{${b?...}}}`. */
const NESTING_MAX = 20;

/**
 * Expands `$name`, `${name}`, `$(name)`, `${name?then}`, `${name:else}`, `${name?{then}:{else}}` and
 * `$$`. Values come from mail: they are not expanded again, and what is not in `filter` (a set of
 * characters; '' allows all) becomes `_`.
 *
 * @throws {MacroError}
 */
export function expandMacros(text: string, lookup: MacroLookup, filter = ''): Expanded {
  const state = { undefinedName: false, used: new Set<string>() };
  const allowed = filter === '' ? undefined : charactersOf(filter);
  const expand = (part: string, depth: number): string => {
    if (depth > NESTING_MAX) throw new MacroError(`macros are nested too deeply: ${text}`);
    let result = '';
    let at = 0;
    while (at < part.length) {
      const dollar = part.indexOf('$', at);
      if (dollar < 0) return result + part.slice(at);
      result += part.slice(at, dollar);
      const reference = referenceAt(part, dollar);
      at = reference.end;
      result += reference.body === '$' ? '$' : evaluate(reference, depth);
    }
    return result;
  };
  const evaluate = ({ name, whenSet, whenUnset }: Reference, depth: number): string => {
    const value = lookup(name);
    const isSet = value !== undefined && value !== '';
    if (whenSet !== undefined || whenUnset !== undefined) {
      return expand((isSet ? whenSet : whenUnset) ?? '', depth + 1);
    }
    if (value === undefined) state.undefinedName = true;
    else state.used.add(name);
    return filtered(value ?? '', allowed);
  };
  return { text: expand(text, 0), ...state };
}

/** Characters that are not allowed become `_`. */
export function filterCharacters(value: string, filter: string): string {
  return filtered(value, charactersOf(filter));
}

/** Filters are parameters: there are two of them. */
const characterSets = new Map<string, ReadonlySet<string>>();

function charactersOf(filter: string): ReadonlySet<string> {
  let found = characterSets.get(filter);
  if (found === undefined) {
    found = new Set(filter);
    characterSets.set(filter, found);
  }
  return found;
}

function filtered(value: string, allowed: ReadonlySet<string> | undefined): string {
  if (allowed === undefined) return value;
  let result = '';
  for (const character of value) result += allowed.has(character) ? character : '_';
  return result;
}

interface Reference {
  readonly body: string;
  readonly name: string;
  readonly whenSet?: string;
  readonly whenUnset?: string;
  /** Where the text goes on. */
  readonly end: number;
}

const NAME = /^[A-Za-z0-9_]+/;
const CONDITION = /^\s*([A-Za-z0-9_]+)\s*([?:])/;

function referenceAt(text: string, dollar: number): Reference {
  const open = text.charAt(dollar + 1);
  if (open === '$') return { body: '$', name: '', end: dollar + 2 };
  if (open === '{' || open === '(') {
    const end = closing(text, dollar + 1);
    return { ...parseBody(text.slice(dollar + 2, end)), end: end + 1 };
  }
  const name = NAME.exec(text.slice(dollar + 1))?.[0];
  if (name === undefined) throw new MacroError(`name expected after "$": ${text.slice(dollar)}`);
  return { body: name, name, end: dollar + 1 + name.length };
}

function parseBody(body: string): Omit<Reference, 'end'> {
  const condition = CONDITION.exec(body);
  if (condition === null) {
    const name = body.trim();
    if (NAME.exec(name)?.[0] !== name) throw new MacroError(`not a name: "${body}"`);
    return { body, name };
  }
  const [whole, name = '', operator] = condition;
  const rest = body.slice(whole.length);
  if (operator === ':') return { body, name, whenUnset: unbraced(rest) };
  const blank = rest.length - rest.trimStart().length;
  if (rest.charAt(blank) !== '{') return { body, name, whenSet: rest };
  const end = closing(rest, blank);
  const whenSet = rest.slice(blank + 1, end);
  const more = rest.slice(end + 1).trimStart();
  if (more === '') return { body, name, whenSet };
  if (!more.startsWith(':')) throw new MacroError(`":" expected before "${more}"`);
  return { body, name, whenSet, whenUnset: unbraced(more.slice(1)) };
}

function unbraced(text: string): string {
  const trimmed = text.trim();
  if (!trimmed.startsWith('{')) return text;
  return closing(trimmed, 0) === trimmed.length - 1 ? trimmed.slice(1, -1) : text;
}

/** Where the bracket that opens at `open` is closed. */
function closing(text: string, open: number): number {
  const [left, right] = text.charAt(open) === '{' ? ['{', '}'] : ['(', ')'];
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === left) depth += 1;
    else if (character === right) depth -= 1;
    if (depth === 0) return at;
  }
  throw new MacroError(`"${right}" is missing: ${text.slice(open)}`);
}
