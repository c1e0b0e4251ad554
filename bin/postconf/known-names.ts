/**
 * Which parameter names mean something. Besides Postfix's own: those made from the names of
 * transports in master.cf, and those an administrator made up and uses as `$name`.
 */
import { splitList } from '../../lib/config/list.ts';
import { type MasterEntry, normalizeAssignment } from '../../lib/config/master-cf.ts';
import { isParameterName, PARAMETERS } from '../../lib/config/parameters.ts';
import type { Setting } from '../../lib/config/source.ts';
import { TRANSPORT_PARAMETERS, transportParameter } from '../../lib/config/transport.ts';

const TRANSPORT_PROGRAMS = ['error', 'lmtp', 'local', 'pipe', 'smtp', 'virtual'];
const TIMED_PROGRAMS = ['pipe', 'spawn'];

/** Tables whose settings may stand in main.cf, as `name_setting`. */
const LEGACY_TABLE = /\b(?:ldap|memcache|mysql|pgsql|sqlite):([A-Za-z0-9_]+)/g;

export interface KnownNames {
  /** Made from the transports of master.cf, with their defaults. */
  readonly service: ReadonlyMap<string, string>;
  /** Made up in main.cf, and used. */
  readonly user: ReadonlySet<string>;
  /** `$name` in main.cf that nobody defines. */
  readonly undefinedInMain: readonly string[];
  /** The same in the `-o` of master.cf. */
  readonly undefinedInMaster: readonly string[];
  /** Settings of main.cf that nothing uses. */
  readonly unusedInMain: readonly Setting[];
  /** `name=value` after a `-o` of master.cf that nothing uses. */
  readonly unusedInMaster: readonly string[];
}

export function findKnownNames(
  settings: ReadonlyMap<string, Setting>,
  entries: readonly MasterEntry[],
): KnownNames {
  const service = serviceNames(entries);
  const overrides = entries.map((entry) => new Map(overridesOf(entry)));
  const inDefaults = new Set(defaultReferences(settings));
  const inMain = [...settings.values()].filter(isExpanded).flatMap((s) => referencesIn(s.value));
  const prefixes = legacyPrefixes([...settings.values()].map((setting) => setting.value));

  const isBuiltIn = (name: string) => isParameterName(name) || service.has(name);
  const classes = [settings, ...overrides].flatMap((scope) => classesIn(scope));
  const inMaster = overrides.flatMap((own) =>
    [...own.values()].flatMap(referencesIn).filter((name) => !own.has(name)),
  );
  const referenced = new Set([...inDefaults, ...inMain, ...inMaster, ...classes]);
  const isUser = (name: string) =>
    referenced.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
  const user = new Set([...settings.keys()].filter((name) => !isBuiltIn(name) && isUser(name)));

  const defined = (name: string) =>
    isBuiltIn(name) || settings.has(name) || inDefaults.has(name) || name === '';
  const inAnyService = (name: string) => overrides.some((own) => own.has(name));
  return {
    service,
    user,
    undefinedInMain: distinct(inMain.filter((name) => !defined(name) && !inAnyService(name))),
    undefinedInMaster: distinct(inMaster.filter((name) => !defined(name))),
    unusedInMain: [...settings.values()].filter(({ name }) => !isBuiltIn(name) && !user.has(name)),
    unusedInMaster: overrides.flatMap((own) => {
      const local = new Set([...own.values()].flatMap(referencesIn));
      return [...own]
        .filter(([name]) => !isBuiltIn(name) && !local.has(name) && !isUser(name))
        .map(([name, value]) => `${name}=${value}`);
    }),
  };
}

/** The `-o name=value` of an entry; they end at the first argument that is no option. */
export function overridesOf(entry: MasterEntry): [name: string, value: string][] {
  const found: [string, string][] = [];
  for (let at = 0; entry.args[at]?.startsWith('-'); at += 1) {
    if (entry.args[at] !== '-o') continue;
    at += 1;
    const assignment = normalizeAssignment(entry.args[at] ?? '');
    const equals = assignment.indexOf('=');
    if (equals > 0) found.push([assignment.slice(0, equals), assignment.slice(equals + 1)]);
  }
  return found;
}

/** The names that a value refers to: `$name`, `${name...}`, `$(name...)`. */
export function referencesIn(value: string): string[] {
  if (!value.includes('$')) return [];
  const names = value.replaceAll('$$', '').matchAll(/\$(?:[({]\s*)?([A-Za-z0-9_]+)/g);
  return [...names].map(([, name]) => name ?? '');
}

function serviceNames(entries: readonly MasterEntry[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { name, command } of entries) {
    const program = command.replace(/^.*\//, '');
    for (const suffix of Object.keys(TRANSPORT_PARAMETERS)) {
      const programs = suffix === 'time_limit' ? TIMED_PROGRAMS : TRANSPORT_PROGRAMS;
      const full = `${name}_${suffix}`;
      if (!programs.includes(program) || isParameterName(full)) continue;
      names.set(full, transportParameter(suffix)?.fallback ?? '');
    }
  }
  return names;
}

function defaultReferences(settings: ReadonlyMap<string, Setting>): string[] {
  return Object.entries(PARAMETERS)
    .filter(([name, parameter]) => parameter.kind !== 'raw' && !settings.has(name))
    .flatMap(([, parameter]) => referencesIn(parameter.fallback))
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

function legacyPrefixes(values: readonly string[]): string[] {
  return values.flatMap((value) =>
    [...value.matchAll(LEGACY_TABLE)].map(([, name]) => `${name ?? ''}_`),
  );
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
