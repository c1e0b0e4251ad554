/** Sendmail's macros: which ones a milter gets at which stage. Pure. */
import { splitList } from '../config/list.ts';
import { FatalError } from '../log/fatal.ts';
import type { MacroStage } from './protocol.ts';

/** For each stage, names as main.cf has them, or as the milter asked for them. */
export type MacroLists = Readonly<Record<MacroStage, string>>;

/** What a macro stands for now; undefined: it has no value. */
export type MacroSource = (name: string) => string | undefined | Promise<string | undefined>;

/** The stages as a milter numbers them when it asks for macros. */
export const STAGES: readonly MacroStage[] = [
  'connect',
  'helo',
  'mail',
  'rcpt',
  'data',
  'endOfMessage',
  'endOfHeaders',
];

/** `name value` pairs of the macros of a list that have a value, each ended by a NUL. */
export async function formatMacros(
  list: string,
  source: MacroSource,
  defaults: ReadonlyMap<string, string>,
): Promise<string> {
  let text = '';
  for (const name of splitNames(list)) {
    const found = source(name);
    const value = (found instanceof Promise ? await found : found) ?? defaults.get(bare(name));
    if (value !== undefined) text += `${name}\0${value.replaceAll('\0', '')}\0`;
  }
  return text;
}

/** The name of a macro without the braces that it may have. */
function bare(name: string): string {
  return name.replace(/[{}]/g, '');
}

/** Lists in main.cf, and from milters, have blanks or commas between names. */
function splitNames(list: string): string[] {
  return list.split(/[\s,]+/).filter((name) => name !== '');
}

/** `milter_macro_defaults`: `name=value` pairs, by names without braces. */
export function parseMacroDefaults(text: string): Map<string, string> {
  const defaults = new Map<string, string>();
  for (const item of splitList(text)) {
    const [, given = '', value = ''] =
      /^\{?\s*(\{?[^\s={}]+\}?)\s*=\s*(.*?)\s*\}?$/s.exec(item) ?? [];
    const name = bare(given);
    if (name === '') {
      throw new FatalError(
        `malformed macro default: missing '=' in milter_macro_defaults: "${item}"`,
      );
    }
    defaults.set(name, value);
  }
  return defaults;
}
