/**
 * Which parameter names mean something. Besides Postfix's own: those made from the names of
 * transports in master.cf, those of tables, and those an administrator made up and uses as `$name`.
 */
import { ExpansionError, expand, findClosing, type Lookup } from '../../lib/config/expand.ts';
import { splitList } from '../../lib/config/list.ts';
import type { MasterEntry } from '../../lib/config/master-cf.ts';
import { isParameterName, PARAMETERS } from '../../lib/config/parameters.ts';
import type { Setting } from '../../lib/config/source.ts';
import { TRANSPORT_PARAMETERS, transportParameter } from '../../lib/config/transport.ts';
import { overridesOf } from './arguments.ts';
import { settingNamesOf, type TableClient, tableClientsIn } from './table-clients.ts';

const TRANSPORT_PROGRAMS = ['error', 'lmtp', 'local', 'pipe', 'smtp', 'virtual'];
const TIMED_PROGRAMS = ['pipe', 'spawn'];

export interface KnownNames {
  /** Made from the transports of master.cf, with their defaults. */
  readonly service: ReadonlyMap<string, string>;
  /** Made up in main.cf, and used. */
  readonly user: ReadonlySet<string>;
  /** Names that the defaults of others refer to: obsolete ones, kept for old files. */
  readonly inDefaults: ReadonlySet<string>;
  /** `$name` in main.cf that nobody defines. */
  readonly undefinedInMain: readonly string[];
  /** The same in the `-o` of master.cf. */
  readonly undefinedInMaster: readonly string[];
  /** Settings of main.cf that nothing uses. */
  readonly unusedInMain: readonly Setting[];
  /** `name=value` after a `-o` of master.cf that nothing uses. */
  readonly unusedInMaster: readonly string[];
  /** The tables with settings that main.cf and master.cf name, each once. */
  readonly clients: readonly TableClient[];
  /** What is wrong with the braces of values, in Postfix's words. */
  readonly braceTroubles: readonly string[];
  /** The first value that can't be expanded. */
  readonly expansionError: ExpansionError | undefined;
}

/** The settings of main.cf, or the `-o` of an entry. */
interface Scope {
  /** As it stands before a warning. */
  readonly place: string;
  readonly values: ReadonlyMap<string, string>;
  readonly lookup: Lookup;
}

export function findKnownNames(
  settings: ReadonlyMap<string, Setting>,
  entries: readonly MasterEntry[],
  lookup: Lookup,
): KnownNames {
  const service = serviceNames(entries);
  const overrides = entries.map((entry) => new Map(overridesOf(entry.rawArgs)));
  const inDefaults = new Set(defaultReferences());
  const inMain = [...settings.values()].filter(isExpanded).flatMap((s) => referencesIn(s.value));
  const main: Scope = {
    place: 'main.cf',
    values: new Map([...settings.values()].map(({ name, value }) => [name, value])),
    lookup,
  };
  const scopes = [main, ...entries.map((entry, at) => scopeOf(entry, overrides[at], lookup))];
  const tables = findTables(scopes);

  const isBuiltIn = (name: string) => isParameterName(name) || service.has(name);
  const classes = [settings, ...overrides].flatMap((scope) => classesIn(scope));
  const inMaster = overrides.flatMap((own) =>
    [...own.values()].flatMap(referencesIn).filter((name) => !own.has(name)),
  );
  const referenced = new Set([...inDefaults, ...inMain, ...inMaster, ...classes]);
  const inTables = (scope: number, name: string) => tables.names[scope]?.has(name) === true;
  const user = new Set(
    [...settings.keys()].filter(
      (name) => !isBuiltIn(name) && (referenced.has(name) || inTables(0, name)),
    ),
  );

  const defined = (name: string) =>
    isBuiltIn(name) || settings.has(name) || inDefaults.has(name) || name === '';
  const inAnyService = (name: string) => overrides.some((own) => own.has(name));
  return {
    service,
    user,
    inDefaults,
    undefinedInMain: distinct(inMain.filter((name) => !defined(name) && !inAnyService(name))),
    undefinedInMaster: distinct(inMaster.filter((name) => !defined(name))),
    unusedInMain: [...settings.values()].filter(({ name }) => !isBuiltIn(name) && !user.has(name)),
    unusedInMaster: overrides.flatMap((own, at) => {
      const local = new Set([...own.values()].flatMap(referencesIn));
      const used = (name: string) =>
        isBuiltIn(name) || local.has(name) || referenced.has(name) || inTables(at + 1, name);
      return [...own].filter(([name]) => !used(name)).map(([name, value]) => `${name}=${value}`);
    }),
    clients: tables.clients,
    braceTroubles: tables.troubles,
    expansionError: tables.error,
  };
}

function scopeOf(
  entry: MasterEntry,
  values: ReadonlyMap<string, string> = new Map(),
  lookup: Lookup,
): Scope {
  const place = `master.cf:${entry.name}/${entry.type}`;
  return { place, values, lookup: (name) => values.get(name) ?? lookup(name) };
}

/** The tables of all scopes, and which names of each scope are settings of theirs. */
function findTables(scopes: readonly Scope[]) {
  const names = scopes.map(() => new Set<string>());
  const clients = new Map<string, TableClient>();
  const troubles: string[] = [];
  let error: ExpansionError | undefined;
  scopes.forEach(({ place, values, lookup }, at) => {
    const warn = (text: string) => troubles.push(`${place}: ${text}`);
    for (const [name, value] of values) {
      if (!isParameterName(name) || PARAMETERS[name].kind === 'raw') continue;
      let expanded = '';
      try {
        expanded = expand(value, lookup);
      } catch (cause) {
        if (!(cause instanceof ExpansionError)) throw cause;
        error ??= cause;
      }
      for (const client of tableClientsIn(expanded, warn)) {
        clients.set(`${client.type}:${client.name}`, client);
        for (const setting of settingNamesOf(client)) {
          // The entry's own setting goes before that of main.cf.
          names[values.has(setting) ? at : 0]?.add(setting);
        }
      }
    }
  });
  return { names, clients: [...clients.values()], troubles, error };
}

/** A name between braces ends there, or at `?` or `:`; other text there is a syntax error. */
const REFERENCE =
  /\$(?:(?<open>[({])\s*(?:(?<inner>[A-Za-z0-9_]+)(?=\s*[?:})]))?|(?<plain>[A-Za-z0-9_]+))/g;

/** The names that a value refers to: `$name`, `${name...}`, `$(name...)`. */
export function referencesIn(value: string): string[] {
  if (!value.includes('$')) return [];
  const text = value.replaceAll('$$', '');
  const found = [...text.matchAll(REFERENCE)];
  const broken = found.findIndex(
    ({ index, groups }) => groups?.['open'] !== undefined && findClosing(text, index + 1) < 0,
  );
  // What follows a brace that nobody closes is not looked at.
  return found.slice(0, broken < 0 ? undefined : broken).flatMap(({ groups }) => {
    const { open, inner, plain } = groups ?? {};
    return open === undefined ? (plain ?? []) : (inner ?? []);
  });
}

/** Those of a transport called `local` are Postfix's own, too, and then keep their defaults. */
function serviceNames(entries: readonly MasterEntry[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { name, command } of entries) {
    const program = command.replace(/^.*\//, '');
    for (const suffix of Object.keys(TRANSPORT_PARAMETERS)) {
      const programs = suffix === 'time_limit' ? TIMED_PROGRAMS : TRANSPORT_PROGRAMS;
      if (!programs.includes(program)) continue;
      const full = `${name}_${suffix}`;
      const own = isParameterName(full) ? PARAMETERS[full].fallback : undefined;
      names.set(full, own ?? transportParameter(suffix)?.fallback ?? '');
    }
  }
  return names;
}

function defaultReferences(): string[] {
  return Object.values(PARAMETERS)
    .filter((parameter) => parameter.kind !== 'raw')
    .flatMap((parameter) => referencesIn(parameter.fallback))
    .filter((name) => !isParameterName(name));
}

/** `raw` values hold `$name` of another kind: `$home`, `$recipient`. */
function isExpanded({ name }: Setting): boolean {
  return !isParameterName(name) || PARAMETERS[name].kind !== 'raw';
}

function classesIn(scope: ReadonlyMap<string, Setting | string>): string[] {
  const value = scope.get('smtpd_restriction_classes') ?? '';
  return splitList(typeof value === 'string' ? value : value.value);
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
