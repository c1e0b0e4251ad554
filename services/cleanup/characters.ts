/**
 * Sets of characters as main.cf writes them: `\0`, `\r`, `\377`. Pure.
 */

const NAMED: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** @returns undefined when the set is empty */
export function unescapeCharacters(text: string): ReadonlySet<string> | undefined {
  if (text === '') return undefined;
  const plain = text.replace(/\\([0-7]{1,3}|.)/gs, (_, what: string) =>
    /^[0-7]/.test(what)
      ? String.fromCharCode(Number.parseInt(what, 8) & 0xff)
      : (NAMED[what] ?? what),
  );
  return new Set(plain);
}

/** Characters that are not in the set. */
export function withoutCharacters(text: string, set: ReadonlySet<string>): string {
  let result = '';
  for (const character of text) if (!set.has(character)) result += character;
  return result;
}

export function hasCharacters(text: string, set: ReadonlySet<string>): boolean {
  for (const character of text) if (set.has(character)) return true;
  return false;
}

/** A line as it is looked at and kept: without the characters that are to go. */
export function cleanText(
  text: string,
  rules: { readonly strip: ReadonlySet<string> | undefined; readonly replaceStray: boolean },
): string {
  const kept = rules.strip === undefined ? text : withoutCharacters(text, rules.strip);
  return rules.replaceStray ? kept.replace(/[\r\n]/g, ' ') : kept;
}
