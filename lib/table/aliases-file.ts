/** Alias databases: postalias(1), newaliases(1). */
import { now } from '../clock/clock.ts';
import { parseAliasLine } from './alias-source.ts';
import { splitItems } from './braces.ts';
import type { TableLog } from './definition.ts';
import { type BuildOptions, buildTable } from './table-build.ts';

interface Settings {
  text(name: string): string;
}

/** Makes the table file of one alias database. @throws {TableOpenError} */
export function buildAliases(name: string, options: BuildOptions, input?: Buffer): void {
  const hostname = options.configuration?.text('myhostname') ?? '';
  buildTable(name, { ...options, parse: parseAliasLine, extra: nisEntries(hostname) }, input);
}

/** What NIS wants to find in a mail.aliases map, and alias tables have had ever since. */
function nisEntries(hostname: string) {
  return [
    { key: '@', value: '@' },
    { key: 'YP_LAST_MODIFIED', value: String(Math.floor(now() / 1000)) },
    { key: 'YP_MASTER_NAME', value: hostname },
  ];
}

/**
 * Rebuilds every table that alias_database lists: newaliases(1), `sendmail -bi`.
 *
 * @param database `type:path` in the place of alias_database (`sendmail -oA`)
 * @throws {TableOpenError} say `postalias: fatal: ` and its message
 */
export function rebuildAliases(configuration: Settings, log: TableLog, database?: string): void {
  for (const item of splitItems(database ?? configuration.text('alias_database'))) {
    buildAliases(withType(item, configuration), { configuration, log });
  }
}

/** `hash:/etc/aliases`, for a bare path too: default_database_type. */
export function withType(name: string, configuration: Settings): string {
  return name.includes(':') ? name : `${configuration.text('default_database_type')}:${name}`;
}
