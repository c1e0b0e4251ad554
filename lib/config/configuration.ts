/**
 * The configuration one program runs with: main.cf, the `-o` of its master.cf entry, defaults.
 * Nothing is evaluated before it is asked for.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ExpansionError, expand } from './expand.ts';
import type { Parameter } from './kind.ts';
import { defaultDomain, defaultHostname, hostnameTrouble } from './machine.ts';
import { parseAssignment, parseMainCf } from './main-cf.ts';
import {
  NetworkError,
  networksByStyle,
  type OwnAddress,
  ownAddresses,
  parseProtocols,
} from './networks.ts';
import { originOf } from './origin-file.ts';
import { isParameterName, PARAMETERS, type ParameterName, type ValueOf } from './parameters.ts';
import { ConfigError, type Origin, openErrorText, type Setting } from './source.ts';
import { transportParameter } from './transport.ts';
import { parseValue, ValueError } from './value.ts';

export { splitList } from './list.ts';
export type { ParameterName, ValueOf } from './parameters.ts';
export { ConfigError } from './source.ts';

export const DEFAULT_DIRECTORY = '/etc/postfix';

export interface LoadOptions {
  /** Where main.cf is; default: `MAIL_CONFIG`, then /etc/postfix. */
  readonly directory?: string;
  /** `name=value`, from `-o`; later ones win. */
  readonly overrides?: readonly string[];
  /** `$service_name`: the first field of master.cf. */
  readonly serviceName?: string;
  /** `$process_name`: the program. */
  readonly processName?: string;
}

/** Values by name: `{ smtp_helo_timeout: 300 }`. */
export type Values<Names extends readonly ParameterName[]> = {
  readonly [Name in Names[number]]: ValueOf<Name>;
};

export interface Configuration {
  readonly directory: string;
  /** What main.cf says that is odd but not wrong; Postfix's texts, to be logged by every program. */
  readonly warnings: readonly string[];
  /** @throws {ConfigError} when the value is not one */
  get<Name extends ParameterName>(name: Name): ValueOf<Name>;
  select<const Names extends readonly ParameterName[]>(names: Names): Values<Names>;
  /** The expanded text of any name, also one that an administrator made up; '' when unset. */
  text(name: string): string;
  /** What is set, else the default, as it is written; undefined for a name nobody knows. */
  unexpanded(name: string): string | undefined;
  isSet(name: string): boolean;
  /** Where a name is set; undefined when it has its default. */
  origin(name: string): Origin | undefined;
  /** What main.cf and the overrides set. */
  names(): string[];
  expand(text: string): string;
  /** The same, but for these settings: `stress=yes`. */
  but(...overrides: string[]): Configuration;
  /** `slow_destination_rate_delay`, else what its default says; undefined for an unknown suffix. */
  forTransport(transport: string, suffix: string): string | undefined;
  /** The same as a value: a number (times in seconds), or text for the feedback parameters. */
  valueForTransport(transport: string, suffix: string): string | number | boolean | undefined;
  /** The machine's own addresses, as inet_interfaces and inet_protocols choose them. */
  addresses(): readonly OwnAddress[];
  /** The same but for one setting: what other values would be then. */
  withSetting(name: string, value: string): Configuration;
  /** A path under queue_directory. */
  queuePath(...parts: string[]): string;
}

/** Where main.cf and master.cf are: what `-c` says, else `MAIL_CONFIG`, else /etc/postfix. */
export function configurationDirectory(option?: string): string {
  return option ?? (process.env['MAIL_CONFIG'] || DEFAULT_DIRECTORY);
}

/** @throws {ConfigError} when main.cf can't be read or parsed */
export function loadConfiguration(options: LoadOptions = {}): Configuration {
  const directory = configurationDirectory(options.directory);
  const warnings: string[] = [];
  const file = `${directory}/main.cf`;
  const settings = new Map(parseMainCf(readText(file), file, (text) => warnings.push(text)));
  for (const override of options.overrides ?? []) {
    const setting = parseOverride(override);
    settings.set(setting.name, setting);
  }
  return createConfiguration({ ...options, directory, settings, warnings });
}

/** A configuration of settings that are already there; postconf -d has none. */
export function createConfiguration(parts: {
  directory: string;
  settings: ReadonlyMap<string, Setting>;
  warnings?: readonly string[];
  serviceName?: string;
  processName?: string;
}): Configuration {
  const { directory, settings } = parts;
  const texts = new Map<string, string>();
  const values = new Map<string, string | number | boolean>();

  const derived: Readonly<Record<string, () => string>> = {
    config_directory: () => directory,
    myhostname: () => defaultHostname(settings.has('mydomain') ? text('mydomain') : undefined),
    mydomain: () => defaultDomain(text('myhostname')),
    mynetworks: () =>
      guard('mynetworks_style', () => networksByStyle(text('mynetworks_style'), addresses())),
    process_id: () => String(process.pid),
    process_name: () => parts.processName ?? '',
    service_name: () => parts.serviceName ?? '',
  };

  /** Unexpanded: what is set, else the default. */
  function lookup(name: string): string | undefined {
    const setting = settings.get(name);
    if (setting !== undefined) return setting.value;
    if (!isParameterName(name)) return undefined;
    return Object.hasOwn(derived, name) ? derived[name]?.() : PARAMETERS[name].fallback;
  }

  function text(name: string): string {
    const known = texts.get(name);
    if (known !== undefined) return known;
    const value = guard(name, () => {
      const expanded = expand(lookup(name) ?? '', lookup);
      return name === 'myorigin' ? originOf(expanded) : expanded;
    });
    texts.set(name, value);
    return value;
  }

  /** Whatever is wrong with `name`, said with its place. */
  function guard<Value>(name: string, action: () => Value): Value {
    try {
      return action();
    } catch (error) {
      const origin = settings.get(name)?.origin ?? { file: `${directory}/main.cf`, line: 0 };
      if (error instanceof ExpansionError) {
        // Every default may depend on it, and is not to blame.
        const level = settings.get('compatibility_level');
        if (error.message.endsWith(` level syntax: "${level?.value}"`)) {
          throw new ConfigError(error.message, level?.origin);
        }
        const why = `dictionary mail_dict: macro processing error: ${error.message}`;
        throw new ConfigError(`${why}, in ${name}`, origin);
      }
      if (error instanceof ValueError) throw new ConfigError(error.message, origin);
      if (error instanceof NetworkError) throw new ConfigError(error.message, origin);
      throw error;
    }
  }

  function evaluate(name: string, parameter: Parameter): string | number | boolean {
    if (parameter.kind === 'raw') return lookup(name) ?? parameter.fallback;
    const set = settings.has(name);
    const value = set || isParameterName(name) ? text(name) : expandIn(name, parameter.fallback);
    if (name === 'myhostname' || name === 'mydomain') checkHostname(name, value);
    const unit = set && parameter.kind === 'seconds' ? unitOf(name, parameter.fallback) : '';
    return guard(name, () => parseValue(name, parameter, value, unit));
  }

  function expandIn(name: string, fallback: string): string {
    return guard(name, () => expand(fallback, lookup));
  }

  /** A time without a unit has that of its default. */
  function unitOf(name: string, fallback: string): string {
    return /[a-z]/.exec(expandIn(name, fallback))?.[0] ?? 's';
  }

  function checkHostname(name: string, value: string): void {
    const trouble = value === '' ? undefined : hostnameTrouble(value);
    if (trouble === undefined) return;
    const file = `${directory}/main.cf`;
    const why = `file ${file}: parameter ${name}: bad parameter value: ${value}`;
    throw new ConfigError(why, settings.get(name)?.origin);
  }

  function get<Name extends ParameterName>(name: Name): ValueOf<Name> {
    let value = values.get(name);
    if (value === undefined) {
      value = evaluate(name, PARAMETERS[name]);
      values.set(name, value);
    }
    return value as ValueOf<Name>;
  }

  function valueForTransport(transport: string, suffix: string) {
    const parameter = transportParameter(suffix);
    if (parameter === undefined) return undefined;
    const name = `${transport}_${suffix}`;
    return evaluate(name, isParameterName(name) ? PARAMETERS[name] : parameter);
  }

  function forTransport(transport: string, suffix: string): string | undefined {
    const name = `${transport}_${suffix}`;
    if (settings.has(name) || isParameterName(name)) return text(name);
    const parameter = transportParameter(suffix);
    return parameter === undefined ? undefined : expandIn(name, parameter.fallback);
  }

  function addresses(): readonly OwnAddress[] {
    guard('inet_protocols', () => parseProtocols(text('inet_protocols')));
    return guard('inet_interfaces', () =>
      ownAddresses(text('inet_interfaces'), text('inet_protocols')),
    );
  }

  return {
    directory,
    warnings: parts.warnings ?? [],
    get,
    select: (names) =>
      Object.freeze(Object.fromEntries(names.map((name) => [name, get(name)]))) as never,
    text,
    unexpanded: lookup,
    isSet: (name) => settings.has(name),
    origin: (name) => settings.get(name)?.origin,
    names: () => [...settings.keys()],
    expand: (value) => guard('', () => expand(value, lookup)),
    but: (...overrides) => {
      const others = overrides
        .map(parseOverride)
        .map((setting) => [setting.name, setting] as const);
      return createConfiguration({ ...parts, settings: new Map([...settings, ...others]) });
    },
    forTransport,
    valueForTransport,
    addresses,
    withSetting: (name, value) =>
      createConfiguration({
        ...parts,
        settings: new Map([...settings, [name, parseOverride(`${name}=${value}`)]]),
      }),
    queuePath: (...path) => join(get('queue_directory'), ...path),
  };
}

/** `name=value` as it follows `-o`. */
export function parseOverride(override: string): Setting {
  const { name, value } = parseAssignment(override, (why) => {
    throw new ConfigError(why);
  });
  return { name, value, origin: { file: 'option -o', line: 0 } };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ConfigError(`open ${file}: ${openErrorText(cause)}`);
  }
}
