/** The arguments of a master.cf entry as postconf sees them: its options, and what follows them. */
import { normalizeAssignment, withoutBraces } from '../../lib/config/master-cf.ts';

/** `-v`, or `-o name=value`; only `-o` has a value. */
export interface DaemonOption {
  readonly flag: string;
  readonly value: string | undefined;
}

export interface DaemonArguments {
  readonly options: readonly DaemonOption[];
  /** From the first word that is no option; without the braces around a word. */
  readonly rest: readonly string[];
}

/**
 * Sorts the words of an entry: `-vo a=b` and `-oa=b` are `-v -o a=b`. `warn` gets Postfix's text of
 * what is wrong with words in braces.
 */
export function parseArguments(
  words: readonly string[],
  warn: (text: string) => void = () => {},
): DaemonArguments {
  const options: DaemonOption[] = [];
  let at = 0;
  for (; isOption(words[at]); at += 1) {
    let word = words[at] ?? '';
    const setting = word.indexOf('o', 1);
    if (setting < 0) {
      options.push({ flag: word, value: undefined });
      continue;
    }
    if (setting > 1) options.push({ flag: word.slice(0, setting), value: undefined });
    word = word.slice(setting + 1);
    if (word === '') {
      at += 1;
      word = words[at] ?? '';
      if (at >= words.length) {
        options.push({ flag: '-o', value: undefined });
        break;
      }
    }
    options.push({ flag: '-o', value: parseSetting(word, warn) });
  }
  return { options, rest: words.slice(at).map((word) => resolve(word, warn)) };
}

/** Options end at the first word that is none, and at `--`. */
function isOption(word: string | undefined): boolean {
  return word?.startsWith('-') === true && word !== '-' && word !== '--';
}

/** What follows a `-o`: in braces there may be blanks around its `=`. */
function parseSetting(word: string, warn: (text: string) => void): string {
  if (!word.startsWith('{')) return word;
  const text = resolve(word, warn);
  const name = text.split('=', 1)[0]?.trim() ?? '';
  if (name === '') warn(`missing attribute name: "${text}"`);
  else if (name.length === text.length || /\s/.test(name)) {
    warn(`missing '=' after attribute name: "${text}"`);
  } else {
    return normalizeAssignment(text);
  }
  return text;
}

function resolve(word: string, warn: (text: string) => void): string {
  const { text, trouble } = withoutBraces(word);
  if (trouble !== undefined) warn(trouble);
  return text;
}

/** The `-o name=value` of an entry that are that; of a name that comes twice, all. */
export function overridesOf(words: readonly string[]): [name: string, value: string][] {
  return parseArguments(words).options.flatMap(({ value = '' }) => {
    const equals = value.indexOf('=');
    if (!/^[^\s=]+=/.test(value)) return [];
    return [[value.slice(0, equals), value.slice(equals + 1)] as [string, string]];
  });
}
