/**
 * What is wrong in main.cf and master.cf, each mistake with its file and line. A daemon would stop
 * at the first one that concerns it, when it is needed, and say so in the log only.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ConfigError,
  type Configuration,
  loadConfiguration,
  parseOverride,
} from '../../lib/config/configuration.ts';
import { ExpansionError, parseLevel } from '../../lib/config/expand.ts';
import { parsePort, splitInetName } from '../../lib/config/inet-name.ts';
import { type MasterEntry, parseMasterCf, serviceTrouble } from '../../lib/config/master-cf.ts';
import { isParameterName, PARAMETERS, type ParameterName } from '../../lib/config/parameters.ts';
import { formatOrigin, type Origin } from '../../lib/config/source.ts';
import { lookupGroup, lookupUser } from '../../lib/os/identity.ts';
import { parseDaemonOptions } from '../../lib/server/options.ts';

/** What all need, and what follows from other settings. */
const DERIVED = ['myhostname', 'mydomain', 'mynetworks'];
const COUNTED: ReadonlySet<string> = new Set(['bool', 'int', 'size', 'code', 'seconds']);

/** One text per mistake; none when all is well. */
export function configurationTroubles(configuration: Configuration): string[] {
  const troubles = [...mainTroubles(configuration), ...masterTroubles(configuration)];
  return [...new Set(troubles)];
}

function mainTroubles(configuration: Configuration): string[] {
  const names = [...configuration.names(), ...DERIVED].filter(isParameterName);
  const checks: (() => unknown)[] = names
    .filter((name) => !isEmptyText(name, configuration))
    .map((name) => () => configuration.get(name));
  checks.push(
    () => configuration.addresses(),
    () => checkLevel(configuration),
  );
  if (process.getuid?.() === 0) {
    checks.push(...accountChecks(configuration));
  }
  return checks.flatMap(troubleOf);
}

/** Some texts must not be empty where they are used: but few programs use all of them. */
function isEmptyText(name: ParameterName, configuration: Configuration): boolean {
  const { kind } = PARAMETERS[name];
  return !COUNTED.has(kind) && configuration.unexpanded(name) === '';
}

/** Three accounts that must not be one another, and not root. Postfix's texts. */
function accountChecks(configuration: Configuration): (() => void)[] {
  const fail = (name: AccountParameter, why: string): never => {
    const text = `file ${join(configuration.directory, 'main.cf')}: ${why}`;
    throw new ConfigError(text, configuration.origin(name));
  };
  const user = (parameter: AccountParameter) => {
    const name = configuration.get(parameter);
    const found = lookupUser(name);
    if (found === undefined) {
      return fail(parameter, `parameter ${parameter}: unknown user name value: ${name}`);
    }
    if (found.uid === 0) {
      fail(parameter, `parameter ${parameter}: user ${name} has privileged user ID`);
    }
    if (found.gid === 0) {
      fail(parameter, `parameter ${parameter}: user ${name} has privileged group ID`);
    }
    return found;
  };
  return [
    () => {
      user('mail_owner');
    },
    () => {
      const { uid } = user('default_privs');
      const owner = configuration.get('mail_owner');
      if (lookupUser(owner)?.uid !== uid) return;
      const both = 'parameters default_privs and mail_owner specify the same user';
      fail('default_privs', `${both} ${owner}`);
    },
    () => {
      const name = configuration.get('setgid_group');
      const gid = lookupGroup(name)?.gid;
      if (gid === undefined) {
        return fail('setgid_group', `parameter setgid_group: unknown group name: ${name}`);
      }
      const owner = configuration.get('mail_owner');
      if (lookupUser(owner)?.gid !== gid) return;
      const both = `parameters mail_owner and setgid_group: user ${owner} and group ${name}`;
      fail('setgid_group', `${both} have the same group ID: ${gid}`);
    },
  ];
}

type AccountParameter = 'mail_owner' | 'setgid_group' | 'default_privs';

/** Every default depends on it. */
function checkLevel(configuration: Configuration): void {
  try {
    parseLevel(configuration.text('compatibility_level'));
  } catch (cause) {
    if (!(cause instanceof ExpansionError)) throw cause;
    throw new ConfigError(cause.message, configuration.origin('compatibility_level'));
  }
}

function masterTroubles(configuration: Configuration): string[] {
  const path = join(configuration.directory, 'master.cf');
  if (!existsSync(path)) return [`no ${path} file found`];
  let entries: readonly MasterEntry[];
  try {
    entries = parseMasterCf(readFileSync(path, 'utf8'), path);
  } catch (error) {
    return [(error as Error).message];
  }
  const troubles = entries.flatMap((entry) => entryTroubles(entry, configuration));
  const hasPostlog = entries.some(({ name, type }) => name === 'postlog' && type === 'unix-dgram');
  if (configuration.text('maillog_file') !== '' && !hasPostlog) {
    troubles.push(
      "missing 'postlog' service in master.cf - run 'postfix upgrade-configuration', " +
        'or add the line: postlog unix-dgram n - n - 1 postlogd',
    );
  }
  return troubles;
}

function entryTroubles(entry: MasterEntry, configuration: Configuration): string[] {
  const { name, type, args, origin } = entry;
  const own = serviceTrouble(entry);
  return [
    () => type === 'inet' && own === undefined && parsePort(splitInetName(name).port),
    () => checkOverrides(args, configuration),
  ]
    .flatMap(troubleOf)
    .concat(own ?? [])
    .map((text) => placed(text, `service ${name}`, origin));
}

/** The `-o` of a line; what follows the options is the daemon's own business. */
function checkOverrides(args: readonly string[], { directory }: Configuration): void {
  const { overrides } = parseDaemonOptions(args);
  if (overrides.length === 0) return;
  const own = loadConfiguration({ directory, overrides });
  for (const override of overrides) {
    const { name } = parseOverride(override);
    if (isParameterName(name)) own.get(name);
  }
}

function placed(text: string, what: string, origin: Origin): string {
  return `${what}: ${text} (${formatOrigin(origin)})`;
}

function troubleOf(check: () => unknown): string[] {
  try {
    check();
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}
