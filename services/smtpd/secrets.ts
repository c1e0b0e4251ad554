/** What of a client's input the log must not show: passwords follow AUTH, encoded or not. Pure. */

/** Input for the log, without what follows an AUTH command. */
export function withoutSecrets(stage: string, text: string): string {
  return stage === 'AUTH' ? NOT_SHOWN : text.replace(AUTH_COMMAND, `$1 ${NOT_SHOWN}`);
}

/** What stands in its place. */
export const NOT_SHOWN = '[not shown]';
const AUTH_COMMAND = /\b(AUTH[ \t]+[\w-]+).*/is;
