/** Templates of replies, and the values that an administrator may name in them. Pure. */
import { expand } from '../config/expand.ts';

export type Macros = Readonly<Record<string, string | undefined>>;

/** What a template is filled with. */
export interface TemplateValues {
  readonly macros: Macros;
  /** The characters that values may have, as smtpd_expansion_filter writes them. */
  readonly allowed: string;
  readonly warn: (text: string) => void;
}

/**
 * Puts values into a template. What a client may have chosen is filtered, and never a template.
 *
 * @throws {ExpansionError} when the template is malformed
 */
export function fillTemplate(template: string, { macros, allowed, warn }: TemplateValues): string {
  const known = new Set(charactersOf(allowed));
  return expand(template, (name) => {
    if (!Object.hasOwn(macros, name)) {
      warn(`unknown macro name "${name}" in expansion request`);
      return undefined;
    }
    const clean = [...(macros[name] ?? '')].map((c) => (known.has(c) ? c : '_')).join('');
    return clean.replaceAll('$', '$$$$');
  });
}

/** The characters behind `\t`, `\40`, `\\`. */
function charactersOf(text: string): string {
  return text.replace(/\\(?:([0-7]{1,3})|(.))/gs, (_all, octal?: string, letter = '') =>
    octal === undefined
      ? (ESCAPES[letter] ?? letter)
      : String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
