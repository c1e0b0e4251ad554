/** What clients of the Cyrus type would miss: smtpd.conf as smtpd reads it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Configuration, loadConfiguration } from '../../lib/config/configuration.ts';
import { parseMasterCf } from '../../lib/config/master-cf.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { cyrusDirectories, readCyrusConf } from '../../lib/sasl/cyrus-conf.ts';
import { parseDaemonOptions } from '../../lib/server/options.ts';

/** One line for each; services that share a file share its lines. */
export function saslWarnings({ directory }: Configuration): string[] {
  const file = join(directory, 'master.cf');
  const texts = parseMasterCf(readFileSync(file, 'utf8'), file)
    .filter(({ command }) => command === 'smtpd')
    .flatMap(({ args }) => {
      const { overrides } = parseDaemonOptions(args);
      return troublesOf(loadConfiguration({ directory, overrides }));
    });
  return [...new Set(texts)];
}

function troublesOf(own: Configuration): readonly string[] {
  if (!own.get('smtpd_sasl_auth_enable') || own.get('smtpd_sasl_type') !== 'cyrus') return [];
  const directories = cyrusDirectories(own.get('cyrus_sasl_config_path'), own.directory);
  try {
    return readCyrusConf(own.get('smtpd_sasl_path'), directories).warnings;
  } catch (error) {
    if (error instanceof FatalError) return [`${error.message}: clients can't log in`];
    throw error;
  }
}
