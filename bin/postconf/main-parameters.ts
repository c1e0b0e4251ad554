/** Listing main.cf: `postconf`, `-n`, `-d`, `-x`, `-C`. */
import type { Configuration } from '../../lib/config/configuration.ts';
import { expand } from '../../lib/config/expand.ts';
import { splitList } from '../../lib/config/list.ts';
import { isParameterName, PARAMETERS } from '../../lib/config/parameters.ts';
import type { KnownNames } from './known-names.ts';

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
    ...(includes('builtin') ? Object.keys(PARAMETERS) : []),
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
export function shownValue(
  name: string,
  lookup: (name: string) => string | undefined,
  expanded: boolean,
): string {
  const value = lookup(name) ?? '';
  const isRaw = isParameterName(name) && PARAMETERS[name].kind === 'raw';
  return expanded && !isRaw ? expand(value, lookup) : value;
}
