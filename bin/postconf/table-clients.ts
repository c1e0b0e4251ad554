/**
 * Tables that ask a server have settings: in a file of their own (`mysql:/etc/postfix/x.cf`), or
 * in main.cf under their name (`mysql:users` has `users_hosts`). postconf knows which there are.
 */
import { readFileSync, statSync } from 'node:fs';
import { splitList } from '../../lib/config/list.ts';
import { parseMainCf } from '../../lib/config/main-cf.ts';
import { withoutBraces } from '../../lib/config/master-cf.ts';
import { openErrorText } from '../../lib/config/source.ts';

/** What every SQL table has: mysql_table(5), pgsql_table(5), sqlite_table(5). */
const SQL = `additional_conditions domain expansion_limit query result_format select_field table
  where_field`;
const SQL_SERVER = `${SQL} dbname hosts password user`;

const SETTINGS: Readonly<Record<string, ReadonlySet<string>>> = {
  ldap: words(`bind bind_dn bind_pw cache_expiry cache_size chase_referrals debuglevel dereference
    domain expansion_limit leaf_result_attribute query_filter recursion_limit result_attribute
    result_filter result_format sasl_authz_id sasl_mechs sasl_minssf sasl_realm scope search_base
    server_host server_port size_limit special_result_attribute start_tls
    terminal_result_attribute timeout tls_ca_cert_dir tls_ca_cert_file tls_cert tls_cipher_suite
    tls_key tls_random_file tls_require_cert version`),
  memcache: words(`backup data_size_limit domain flags key_format line_size_limit max_try memcache
    retry_pause timeout ttl`),
  mysql: words(`${SQL_SERVER} option_file option_group require_result_set tls_CAfile tls_CApath
    tls_cert_file tls_ciphers tls_key_file tls_verify_cert`),
  pgsql: words(`${SQL_SERVER} select_function`),
  sqlite: words(`${SQL} dbpath`),
};

/** A table that has settings. */
export interface TableClient {
  readonly type: string;
  /** The path of its file, or the prefix of its settings. */
  readonly name: string;
}

/** The tables that an expanded value names; `warn` gets Postfix's text of unbalanced braces. */
export function tableClientsIn(value: string, warn: (text: string) => void): TableClient[] {
  return splitList(value).flatMap((item) => {
    if (item.startsWith('{')) {
      const { text, trouble } = withoutBraces(item);
      if (trouble !== undefined) warn(trouble);
      return tableClientsIn(text, warn);
    }
    const [, type = '', name = ''] = /^(?:proxy:)*([^:]*):(.*)$/s.exec(item) ?? [];
    if (name.startsWith('{')) return tableClientsIn(name, () => {});
    return Object.hasOwn(SETTINGS, type) ? [{ type, name }] : [];
  });
}

/** The names in main.cf that the settings of a table may have. */
export function settingNamesOf({ type, name }: TableClient): string[] {
  if (name.startsWith('/')) return [];
  return [...(SETTINGS[type] ?? [])].map((setting) => `${name}_${setting}`);
}

/**
 * What is odd about the file of a table, in Postfix's words. A file that is not for us to read is
 * nobody's mistake.
 *
 * @throws {ConfigError} when a line is not `name = value`
 */
export function clientFileTroubles({ type, name }: TableClient): string[] {
  if (!name.startsWith('/')) return [];
  const trouble = (why: string) => [`open "${type}" configuration "${name}": ${why}`];
  let text: string;
  try {
    if (!statSync(name).isFile()) return trouble('not a regular file');
    text = readFileSync(name, 'utf8');
  } catch (error) {
    const hidden = (error as NodeJS.ErrnoException).code === 'EACCES';
    return hidden ? [] : trouble(openErrorText(error));
  }
  const troubles: string[] = [];
  const settings = parseMainCf(text, name, (warning) => troubles.push(warning));
  for (const setting of settings.values()) {
    if (SETTINGS[type]?.has(setting.name)) continue;
    troubles.push(`${type}:${name}: unused parameter: ${setting.name}=${setting.value}`);
  }
  return troubles;
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
