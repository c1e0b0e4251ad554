import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Configuration } from '../../lib/config/configuration.ts';
import { parseMainCf } from '../../lib/config/main-cf.ts';

/** Made by the build from the sources; it lies above the directory of this program. */
const LIST = '../honoured.json';
/** Parameters of one transport take their meaning from what follows its name. */
const TRANSPORT_SUFFIX =
  /^(?:[a-z0-9]+)_(?=(?:destination|delivery|extra|initial|minimum|recipient|transport|time)_)/;

/** One line for each parameter that is set in main.cf and has no effect here. */
export function unhonoured(configuration: Configuration): string[] {
  const honoured = new Set(readList());
  const referred = referredNames(configuration);
  return configuration
    .names()
    .filter((name) => !honoured.has(name) && !isOfTransport(name, honoured) && !referred.has(name))
    .map((name) => {
      const origin = configuration.origin(name);
      const where = origin === undefined ? 'main.cf' : `${origin.file}, line ${origin.line}`;
      return `${where}: parameter "${name}" is set, but Posthaste does not honour it`;
    });
}

function isOfTransport(name: string, honoured: ReadonlySet<string>): boolean {
  const suffix = name.replace(TRANSPORT_SUFFIX, '');
  return suffix !== name && honoured.has(`default_${suffix}`);
}

/** Names that other parameters refer to: the administrator's own, for use in values. */
function referredNames(configuration: Configuration): Set<string> {
  const file = join(configuration.directory, 'main.cf');
  const settings = parseMainCf(readFileSync(file, 'utf8'), file).values();
  const values = [...settings].map(({ value }) => value).join('\n');
  return new Set([...values.matchAll(/\$[{(]?(\w+)/g)].map(([, name]) => name ?? ''));
}

function readList(): string[] {
  const script = process.argv[1] ?? '';
  return JSON.parse(readFileSync(join(dirname(script), LIST), 'utf8')) as string[];
}
