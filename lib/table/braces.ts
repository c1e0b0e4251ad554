/** Lists in table names: `{a, {b c}}`. Items end at commas and blanks; braces protect both. */
import { TableOpenError } from './definition.ts';
import { isBlank, trim } from './source-lines.ts';

/** Splits at commas and white space outside braces; the braces of an item stay. */
export function splitItems(text: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let start = -1;
  for (let at = 0; at <= text.length; at += 1) {
    const code = at < text.length ? text.charCodeAt(at) : 44;
    if (code === 123) depth += 1;
    if (code === 125 && depth > 0) depth -= 1;
    const separator = (code === 44 || isBlank(code)) && (depth === 0 || at === text.length);
    if (!separator && start < 0) start = at;
    if (separator && start >= 0) {
      items.push(text.slice(start, at));
      start = -1;
    }
  }
  return items;
}

/**
 * The text between the braces of `{ text }`, without blanks next to them; other text as it is.
 *
 * @throws {TableOpenError} with what is wrong with the braces, for the caller to complete
 */
export function withoutBraces(text: string): string {
  if (!text.startsWith('{')) return text;
  const end = closingBrace(text);
  if (end < 0) throw new TableOpenError(`missing '}' in "${text}"`);
  if (end !== text.length - 1) {
    throw new TableOpenError(`syntax error after '}' in "${text}"`);
  }
  return trim(text.slice(1, end));
}

function closingBrace(text: string): number {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 123) depth += 1;
    if (code === 125) depth -= 1;
    if (depth === 0) return at;
  }
  return -1;
}

/** Whether braces are around all of it, and match. */
export function isBraced(text: string): boolean {
  return text.startsWith('{') && closingBrace(text) === text.length - 1;
}

/** The items of `type:{a, b}`. @throws {TableOpenError} when it is not of that form */
export function itemsOf(type: string, name: string, need: string): string[] {
  const items = isBraced(name) ? splitItems(name.slice(1, -1)) : [];
  if (items.length > 0) return items;
  throw new TableOpenError(`bad syntax: "${type}:${name}"; need "${type}:{${need}...}"`);
}
