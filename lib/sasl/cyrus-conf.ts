/** `smtpd.conf` of the Cyrus SASL library, as far as it concerns a server without that library. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { splitList } from '../config/list.ts';
import { FatalError } from '../log/fatal.ts';
import { CRAM_MD5, LOGIN, PLAIN, SCRAM_SHA_256 } from './mechanism.ts';

export interface CyrusConf {
  /** How passwords are checked: one after the other, until one says yes. */
  readonly methods: readonly ('saslauthd' | 'auxprop')[];
  /** In capitals; `undefined`: all. */
  readonly mechanisms: readonly string[] | undefined;
  /** Its socket. */
  readonly saslauthdPath: string;
  readonly sasldbPath: string;
  /** What it asks for in vain, a text for each. */
  readonly warnings: readonly string[];
}

const SASLAUTHD_PATH = '/var/run/saslauthd/mux';
const SASLDB_PATH = '/etc/sasldb2';
const FILE_BYTES_MAX = 64 * 1024;
const METHODS = ['saslauthd', 'auxprop'] as const;
const PLUGINS = ['sasldb'];
/** Of all mechanisms of the library, those that are built; the others need what saslauthd keeps to itself. */
const ASKING = [PLAIN.name, LOGIN.name];
const KNOWING = [SCRAM_SHA_256.name, CRAM_MD5.name];
const HONOURED: ReadonlySet<string> = new Set([
  'auxprop_plugin',
  'mech_list',
  'pwcheck_method',
  'saslauthd_path',
  'sasldb_path',
  // What there is to be said goes to our own log.
  'log_level',
]);
/** Debian's place for smtpd.conf, after the one beside main.cf, and the library's own. */
const DIRECTORIES = ['/usr/lib/sasl', '/etc/sasl2', '/usr/lib/sasl2'];

/**
 * Where to look for `smtpd.conf`.
 *
 * @param given cyrus_sasl_config_path
 * @param directory of main.cf
 */
export function cyrusDirectories(given: string, directory: string): string[] {
  return [...given.split(':').filter(Boolean), join(directory, 'sasl'), ...DIRECTORIES];
}

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
  const methods = known('pwcheck_method', METHODS, 'auxprop');
  const { value: list = '', place = file } = settings.get('mech_list') ?? {};
  const mechanisms = splitList(list.toUpperCase());
  const warnings = [...settings]
    .filter(([name]) => !HONOURED.has(name))
    .map(([name, setting]) => `${setting.place}: ${name} is not honoured by Posthaste`);
  return {
    methods,
    mechanisms: mechanisms.length === 0 ? undefined : mechanisms,
    warnings: [...warnings, ...mechanismTroubles(mechanisms, methods.includes('auxprop'), place)],
    saslauthdPath: settings.get('saslauthd_path')?.value ?? SASLAUTHD_PATH,
    sasldbPath: settings.get('sasldb_path')?.value ?? SASLDB_PATH,
  };
}

/** @throws {FatalError} when there is nothing left to log in with */
function mechanismTroubles(
  listed: readonly string[],
  knowsPasswords: boolean,
  place: string,
): string[] {
  const built = knowsPasswords ? [...KNOWING, ...ASKING] : ASKING;
  const missing = listed.filter((name) => !built.includes(name));
  if (missing.length > 0 && missing.length === listed.length) {
    throw new FatalError(
      `${place}: mech_list: none of ${listed.join(', ')} can be had from Posthaste: specify some of ${built.join(', ')}`,
    );
  }
  return missing.map((name) =>
    KNOWING.includes(name)
      ? `${place}: mech_list: ${name} is not offered: saslauthd can only check PLAIN and LOGIN`
      : `${place}: mech_list: ${name} is not built in Posthaste: clients are offered the others`,
  );
}
