/**
 * What a server offers after EHLO or LHLO: one keyword a line, with parameters. RFC 5321 4.1.1.1.
 */
import type { Reply } from './reply.ts';

/** Keyword in upper case -> its parameters, as written. */
export type Extensions = ReadonlyMap<string, readonly string[]>;

/** Bound on what we remember of a greeting. */
const KEYWORDS_MAX = 100;

/**
 * Reads the offer. `AUTH=` with an equals sign is an old spelling of AUTH.
 *
 * @param discarded keywords in lower case that are to be ignored
 */
export function parseExtensions(reply: Reply, discarded: ReadonlySet<string>): Extensions {
  const found = new Map<string, readonly string[]>();
  for (const line of reply.lines.slice(1, KEYWORDS_MAX + 1)) {
    const [keyword = '', ...parameters] = line.trim().split(/[ \t=]+/);
    const name = keyword.toUpperCase();
    if (name === '' || discarded.has(name.toLowerCase())) continue;
    found.set(name, [...(found.get(name) ?? []), ...parameters]);
  }
  return found;
}

/** The size limit a server declares in bytes; 0 when it has none or does not tell. */
export function sizeLimit(extensions: Extensions): number {
  const [limit = ''] = extensions.get('SIZE') ?? [];
  return /^\d{1,15}$/.test(limit) ? Number(limit) : 0;
}
