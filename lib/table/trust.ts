/** Which tables may decide whose rights something has. */
import { type TableContext, TableOpenError } from './definition.ts';

/**
 * A server that nobody has authenticated must not name users, commands or files.
 *
 * @throws {TableOpenError}
 */
export function refuseSensitive(name: string, { sensitive }: TableContext): void {
  if (sensitive !== true) return;
  throw new TableOpenError(`${name} map is not allowed for security sensitive data`);
}
