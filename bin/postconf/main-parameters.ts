/** Listing main.cf: `postconf`, `-n`, `-d`, `-x`, `-C`. */
import { type Configuration, DEFAULT_DIRECTORY } from '../../lib/config/configuration.ts';
import { expand } from '../../lib/config/expand.ts';
import { splitList } from '../../lib/config/list.ts';
import { isParameterName, PARAMETERS } from '../../lib/config/parameters.ts';
import type { KnownNames } from './known-names.ts';
import { formatSetting, formOf } from './lines.ts';
import type { Request } from './request.ts';

const CLASSES = ['builtin', 'service', 'user', 'all'];

/** The names of the classes that `-C` lists, sorted. @throws {Error} on an unknown class */
export function namesOfClasses(classes: string, known: KnownNames): string[] {
  const wanted = splitList(classes);
  const unknown = wanted.find((word) => !CLASSES.includes(word));
  if (unknown !== undefined) {
    throw new Error(`unknown -C option value "${unknown}" in "${classes}"`);
  }
  const includes = (word: string) => wanted.includes(word) || wanted.includes('all');
  return [
    ...(includes('builtin')
      ? Object.keys(PARAMETERS).filter((name) => !known.service.has(name))
      : []),
    ...(includes('service') ? known.service.keys() : []),
    ...(includes('user') ? known.user : []),
  ].sort();
}

/** Looks a name up for display: what is set, its default, or that of a transport's parameter. */
export function lookupIn(configuration: Configuration, known: KnownNames) {
  return (name: string): string | undefined =>
    configuration.unexpanded(name) ?? known.service.get(name);
}

/** The value to print. */
function shownValue(
  name: string,
  lookup: (name: string) => string | undefined,
  expanded: boolean,
): string {
  const value = lookup(name) ?? '';
  const isRaw = isParameterName(name) && PARAMETERS[name].kind === 'raw';
  return expanded && !isRaw ? expand(value, lookup) : value;
}

/** The parameters that were asked for, or all of the classes. */
export function showMain(
  request: Request,
  configuration: Configuration,
  known: KnownNames,
  warn: (text: string) => void,
): string {
  const { options, operands } = request;
  const lookup = lookupIn(configuration, known);
  const form = formOf(options);
  const listed = namesOfClasses(options.value('C') ?? 'all', known);
  const legal = new Set([...namesOfClasses('all', known), ...known.inDefaults]);
  let text = '';
  for (const name of operands.length > 0 ? operands : listed) {
    if (!legal.has(name)) {
      warn(`${name}: unknown parameter`);
    } else if (!options.has('n') || isSet(configuration, name)) {
      text += formatSetting(name, shownValue(name, lookup, options.has('x')), form);
    }
  }
  return text;
}

/** A configuration directory of one's own is worth showing, though no main.cf says so. */
function isSet(configuration: Configuration, name: string): boolean {
  if (name === 'config_directory' && configuration.directory !== DEFAULT_DIRECTORY) return true;
  return configuration.isSet(name);
}
