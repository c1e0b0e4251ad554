/** Names the services that take passwords over a channel that others can read. security.md 11. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Configuration,
  loadConfiguration,
  splitList,
} from '../../lib/config/configuration.ts';
import { parseMasterCf } from '../../lib/config/master-cf.ts';
import { formatOrigin } from '../../lib/config/source.ts';
import { parseDaemonOptions } from '../../lib/server/options.ts';

/** One line for each. */
export function clearPasswordWarnings({ directory }: Configuration): string[] {
  const file = join(directory, 'master.cf');
  return parseMasterCf(readFileSync(file, 'utf8'), file)
    .filter(({ type, command }) => type === 'inet' && command === 'smtpd')
    .filter(({ args }) => {
      const { overrides } = parseDaemonOptions(args);
      return takesClearPasswords(loadConfiguration({ directory, overrides }));
    })
    .map(
      ({ name, origin }) =>
        `${formatOrigin(origin)}: service ${name}: passwords may be sent in the clear: ` +
        'specify smtpd_tls_auth_only = yes, or noplaintext in smtpd_sasl_security_options',
    );
}

function takesClearPasswords(own: Configuration): boolean {
  if (!own.get('smtpd_sasl_auth_enable') || own.get('smtpd_tls_auth_only')) return false;
  const level = own.get('smtpd_tls_security_level').toLowerCase();
  const isOpen = level === '' ? !own.get('smtpd_enforce_tls') : ['none', 'may'].includes(level);
  const options = splitList(own.get('smtpd_sasl_security_options').toLowerCase());
  return isOpen && !own.get('smtpd_tls_wrappermode') && !options.includes('noplaintext');
}
