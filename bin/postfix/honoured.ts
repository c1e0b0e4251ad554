import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Configuration, parseOverride, splitList } from '../../lib/config/configuration.ts';
import { parseMasterCf } from '../../lib/config/master-cf.ts';
import { isParameterName } from '../../lib/config/parameters.ts';
import { formatOrigin } from '../../lib/config/source.ts';
import { parseDaemonOptions } from '../../lib/server/options.ts';

/** They list tables that others look into, if anybody does. */
const MERE_LISTS: ReadonlySet<string> = new Set(['proxy_read_maps', 'proxy_write_maps']);
/** Made by the build from the sources; it lies above the directory of this program. */
const LIST = '../honoured.json';
/** Parameters of one transport take their meaning from what follows its name. */
const TRANSPORT_SUFFIX =
  /^(?:[a-z0-9]+)_(?=(?:destination|delivery|extra|initial|minimum|recipient|transport|time)_)/;

/** One line for each parameter that main.cf or a `-o` of master.cf sets, and that has no effect. */
export function unhonoured(configuration: Configuration): string[] {
  const honoured = new Set(readList());
  const settings = [...mainSettings(configuration), ...masterSettings(configuration)];
  const isHonoured = (name: string) => honoured.has(name) || isOfTransport(name, honoured);
  const ours = settings.filter(({ name }) => !isParameterName(name) || isHonoured(name));
  const named = { byAll: referredNames(settings), byOurs: referredNames(ours) };
  // What an administrator made up is for use in values; a parameter of Postfix's is more than that.
  const isReferred = (name: string) =>
    (isParameterName(name) ? named.byOurs : named.byAll).has(name);
  return settings
    .filter(({ name }) => !isHonoured(name) && !isReferred(name))
    .map(({ name, place }) => {
      return `${place}: parameter "${name}" is set, but Posthaste does not honour it`;
    });
}

interface PlacedSetting {
  readonly name: string;
  readonly value: string;
  readonly place: string;
}

function mainSettings(configuration: Configuration): PlacedSetting[] {
  return configuration.names().map((name) => {
    const origin = configuration.origin(name);
    const place = origin === undefined ? 'main.cf' : formatOrigin(origin);
    return { name, value: configuration.unexpanded(name) ?? '', place };
  });
}

function masterSettings({ directory }: Configuration): PlacedSetting[] {
  const file = join(directory, 'master.cf');
  return parseMasterCf(readFileSync(file, 'utf8'), file).flatMap(({ name, type, args, origin }) => {
    const place = `${formatOrigin(origin)}: service ${name}/${type}: -o`;
    return parseDaemonOptions(args).overrides.map((text) => ({ ...parseOverride(text), place }));
  });
}

function isOfTransport(name: string, honoured: ReadonlySet<string>): boolean {
  const suffix = name.replace(TRANSPORT_SUFFIX, '');
  return suffix !== name && honoured.has(`default_${suffix}`);
}

/**
 * Names that other parameters refer to: the administrator's own, for use in values; and those of
 * his restriction classes.
 */
function referredNames(settings: readonly PlacedSetting[]): Set<string> {
  const values = settings
    .filter(({ name }) => !MERE_LISTS.has(name))
    .map(({ value }) => value)
    .join('\n');
  const classes = settings.filter(({ name }) => name === 'smtpd_restriction_classes');
  return new Set([
    ...[...values.matchAll(/\$[{(]?\s*(\w+)/g)].map(([, name]) => name ?? ''),
    ...classes.flatMap(({ value }) => splitList(value)),
  ]);
}

function readList(): string[] {
  const script = process.argv[1] ?? '';
  return JSON.parse(readFileSync(join(dirname(script), LIST), 'utf8')) as string[];
}
