import { splitList } from '../lib/config/configuration.ts';
import type { MasterEntry } from '../lib/config/master-cf.ts';

/**
 * Reads `master_service_disable`: `name/type` or `type`; `!` makes an exception; the first
 * pattern that matches decides. Postfix: postconf(5).
 */
export function disabledServices(
  patterns: string,
): (entry: Pick<MasterEntry, 'name' | 'type'>) => boolean {
  const rules = splitList(patterns).map((word) => {
    const disabled = !word.startsWith('!');
    return { disabled, pattern: disabled ? word : word.slice(1) };
  });
  return ({ name, type }) =>
    rules.find(({ pattern }) => pattern === type || pattern === `${name}/${type}`)?.disabled ??
    false;
}
