/** smtpd_command_filter: what a client says is put right before anybody looks at it. */
import type { Log } from '../../lib/log/log.ts';
import { TableError } from '../../lib/table/table.ts';
import type { TableList } from '../../lib/table/table-list.ts';

const SHOWN_MAX = 100;

/**
 * The command to obey.
 *
 * @returns undefined when the table can't tell; the table has said so in the log
 */
export async function filteredCommand(
  line: string,
  tables: TableList,
  client: string,
  log: Log,
): Promise<string | undefined> {
  const command = line.trimStart();
  if (command === '') return line;
  try {
    const found = await tables.lookup(command);
    if (found === undefined) return line;
    log.info(
      `${client}: replacing command "${line.slice(0, SHOWN_MAX)}" with "${found.value.slice(0, SHOWN_MAX)}"`,
    );
    return found.value;
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    return undefined;
  }
}
