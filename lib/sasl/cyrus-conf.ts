/** `smtpd.conf` of the Cyrus SASL library, as far as it concerns a server without that library. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { splitList } from '../config/list.ts';
import { FatalError } from '../log/fatal.ts';

export interface CyrusConf {
  /** How passwords are checked: one after the other, until one says yes. */
  readonly methods: readonly ('saslauthd' | 'auxprop')[];
  /** In capitals; `undefined`: all. */
  readonly mechanisms: readonly string[] | undefined;
  /** Its socket. */
  readonly saslauthdPath: string;
  readonly sasldbPath: string;
}

const SASLAUTHD_PATH = '/var/run/saslauthd/mux';
const SASLDB_PATH = '/etc/sasldb2';
const FILE_BYTES_MAX = 64 * 1024;
const METHODS = ['saslauthd', 'auxprop'] as const;
const PLUGINS = ['sasldb'];

/**
 * Reads the first `name.conf` that is there.
 *
 * @throws {FatalError} for what is not built, or no configuration
 */
export function readCyrusConf(name: string, directories: readonly string[]): CyrusConf {
  for (const directory of directories) {
    const file = join(directory, `${name}.conf`);
    const text = readIfThere(file);
    if (text !== undefined) return parseCyrusConf(text, file);
  }
  return parseCyrusConf('', `${name}.conf`);
}

function readIfThere(file: string): string | undefined {
  try {
    const text = readFileSync(file, 'utf8');
    if (text.length <= FILE_BYTES_MAX) return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new FatalError(`open ${file}: ${(error as Error).message}`);
  }
  throw new FatalError(`${file} has more than ${FILE_BYTES_MAX} bytes`);
}

/** @throws {FatalError} naming file and line */
export function parseCyrusConf(text: string, file: string): CyrusConf {
  const settings = new Map<string, { value: string; place: string }>();
  for (const [at, line] of text.split('\n').entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const place = `${file}, line ${at + 1}`;
    const [, key, value = ''] = /^\s*([\w-]+):[ \t]*(.*?)[ \t\r]*$/.exec(line) ?? [];
    if (key === undefined) throw new FatalError(`${place}: specify "name: value"`);
    settings.set(key.toLowerCase(), { value, place });
  }
  const known = <Word extends string>(name: string, words: readonly Word[], fallback: Word) => {
    const { value, place } = settings.get(name) ?? { value: fallback, place: file };
    return splitList(value.toLowerCase()).map((word) => {
      const found = words.find((each) => each === word);
      if (found !== undefined) return found;
      const built = words.join(', ');
      throw new FatalError(
        `${place}: ${name}: "${word}" is not built in Posthaste: specify some of ${built}`,
      );
    });
  };
  known('auxprop_plugin', PLUGINS, 'sasldb');
  const mechanisms = splitList((settings.get('mech_list')?.value ?? '').toUpperCase());
  return {
    methods: known('pwcheck_method', METHODS, 'auxprop'),
    mechanisms: mechanisms.length === 0 ? undefined : mechanisms,
    saslauthdPath: settings.get('saslauthd_path')?.value ?? SASLAUTHD_PATH,
    sasldbPath: settings.get('sasldb_path')?.value ?? SASLDB_PATH,
  };
}
