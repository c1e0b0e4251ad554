/** The result text of a pattern: `550 use ${1}@$2`; `$$` is one `$`. */

/** Pieces in order: text as it is, or the number of a group. */
export type Replacement = readonly (string | number)[];

/** What is wrong with a result text; the lines say it in the order they are logged. */
export class ReplacementError extends Error {
  override readonly name = 'ReplacementError';
  readonly lines: readonly string[];
  constructor(lines: readonly string[]) {
    super(lines.join('; '));
    this.lines = lines;
  }
}

const NAME = /[A-Za-z0-9_]*/y;
const CLOSING: Readonly<Record<string, string>> = { '{': '}', '(': ')' };

/** @throws {ReplacementError}; `where` (`regexp map f, line 1`) begins what concerns the rule */
export function parseReplacement(text: string, where: string): Replacement {
  const pieces: (string | number)[] = [];
  let literal = '';
  for (let at = 0; at < text.length; ) {
    const dollar = text.indexOf('$', at);
    literal += text.slice(at, dollar < 0 ? text.length : dollar);
    if (dollar < 0) break;
    if (text[dollar + 1] === '$') {
      literal += '$';
      at = dollar + 2;
      continue;
    }
    const { name, end } = macroName(text, dollar + 1, where);
    if (literal !== '') pieces.push(literal);
    literal = '';
    pieces.push(groupNumber(name, where));
    at = end;
  }
  if (literal !== '') pieces.push(literal);
  return pieces;
}

function macroName(text: string, at: number, where: string): { name: string; end: number } {
  const closing = CLOSING[text[at] ?? ''];
  if (closing !== undefined) {
    const end = text.indexOf(closing, at);
    if (end < 0) throw syntax(`truncated macro reference: "${text}"`, where);
    return { name: text.slice(at + 1, end).trim(), end: end + 1 };
  }
  NAME.lastIndex = at;
  const name = NAME.exec(text)?.[0] ?? '';
  if (name === '') throw syntax(`empty macro name: "${text}"`, where);
  return { name, end: at + name.length };
}

function groupNumber(name: string, where: string): number {
  if (/^[0-9]{1,9}$/.test(name)) return Number(name);
  throw syntax(`${where}: non-numeric replacement index "${name}"`, where);
}

function syntax(what: string, where: string): ReplacementError {
  return new ReplacementError([what, `${where}: bad replacement syntax: skipping this rule`]);
}

/** The highest group that the text names; 0 when it names none. */
export function highestGroup(pieces: Replacement): number {
  return pieces.reduce<number>(
    (most, piece) => (typeof piece === 'number' && piece > most ? piece : most),
    0,
  );
}

/** Whether the text names any group. */
export function namesGroups(pieces: Replacement): boolean {
  return pieces.some((piece) => typeof piece === 'number');
}

/** Puts the groups of a match in. */
export function expandReplacement(pieces: Replacement, groups: readonly string[]): string {
  let text = '';
  for (const piece of pieces) text += typeof piece === 'number' ? (groups[piece] ?? '') : piece;
  return text;
}
