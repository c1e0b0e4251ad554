/** main.cf: `name = value`. The syntax is Postfix's, postconf(5). */
import { parseLogicalLines } from './logical-lines.ts';
import { ConfigError, type Setting } from './source.ts';

/** Told what is odd but not wrong; the text is Postfix's and names the file. */
export type Warn = (text: string) => void;

/**
 * The settings of a main.cf. When a name comes twice, the last one counts.
 *
 * @throws {ConfigError} when a line is not `name = value`
 */
export function parseMainCf(
  text: string,
  file: string,
  warn: Warn = () => {},
): ReadonlyMap<string, Setting> {
  const settings = new Map<string, Setting>();
  for (const { text: line, line: number } of parseLogicalLines(text)) {
    if (/^\s/.test(line)) {
      warn(indentedFirstLine(file, line));
      continue;
    }
    const { name, value } = parseAssignment(line, (why) => {
      throw new ConfigError(`${file}, line ${number}: ${why}`);
    });
    const earlier = settings.get(name)?.value;
    if (earlier !== undefined && earlier !== value) {
      warn(`${file}, line ${number}: overriding earlier entry: ${name}=${earlier}`);
    }
    settings.set(name, { name, value, origin: { file, line: number } });
  }
  return settings;
}

/** A continuation of nothing; so much of it is shown. */
const SHOWN_MAX = 30;

export function indentedFirstLine(file: string, line: string): string {
  const shown = line.length > SHOWN_MAX ? `${line.slice(0, SHOWN_MAX)}...` : line;
  return `${file}: logical line must not start with whitespace: "${shown}"`;
}

/** Splits `name = value`; `fail` gets Postfix's text when it can't. */
export function parseAssignment(
  text: string,
  fail: (why: string) => never,
): { name: string; value: string } {
  const equals = text.indexOf('=');
  const name = (equals < 0 ? text : text.slice(0, equals)).trim();
  if (equals >= 0 && name === '') fail(`missing attribute name: "${text}"`);
  if (equals < 0 || /\s/.test(name)) {
    fail(`missing '=' after attribute name: "${text}"`);
  }
  return { name, value: text.slice(equals + 1).trim() };
}
