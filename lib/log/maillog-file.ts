/** maillog_file as main.cf has it. */
import { FatalError } from './fatal.ts';
import { type HandOver, LOG_FILE_MODE, LogFile } from './log-file.ts';

/** The text of a parameter, by its name. */
export type TextOf = (name: string) => string;

const MODES: Readonly<Record<string, number>> = { '0600': 0o600, '0640': 0o640, '0644': 0o644 };

/**
 * Opens maillog_file; `undefined` when this process may not.
 *
 * @throws {FatalError} when it is not where a log may be (maillog_file_prefixes)
 */
export function openMaillogFile(text: TextOf, hand?: HandOver): LogFile | undefined {
  const path = text('maillog_file');
  const prefixes = text('maillog_file_prefixes').split(/[\s,]+/);
  if (!prefixes.some((prefix) => prefix !== '' && path.startsWith(prefix))) {
    throw new FatalError(
      `maillog_file value '${path}' does not match any prefix in maillog_file_prefixes`,
    );
  }
  return LogFile.open(path, { hand, mode: modeOf(text('maillog_file_permissions')) });
}

/** maillog_file_permissions, of Postfix 3.9. */
function modeOf(permissions: string): number {
  if (permissions === '') return LOG_FILE_MODE;
  const mode = MODES[permissions];
  if (mode === undefined) {
    throw new FatalError(
      `bad maillog_file_permissions value "${permissions}": specify 0600, 0640 or 0644`,
    );
  }
  return mode;
}
