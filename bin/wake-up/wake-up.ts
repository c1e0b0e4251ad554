/** Writing to a service that answers nothing: postkick, `postqueue -f`. */
import { accessSync, constants } from 'node:fs';
import { trigger } from '../../lib/clients/trigger.ts';
import type { Configuration } from '../../lib/config/configuration.ts';
import { openErrorText } from '../../lib/config/source.ts';

/** Why a service could not be told. `denied`: it is there, but not for this user. */
export interface WakeUpTrouble {
  readonly text: string;
  readonly denied: boolean;
}

/** Sends the bytes to a socket or a fifo. @returns undefined when they are on their way */
export async function wakeUp(
  path: string,
  bytes: string,
  configuration: Configuration,
): Promise<WakeUpTrouble | undefined> {
  const timeoutSeconds = configuration.get('trigger_timeout');
  try {
    accessSync(path, constants.W_OK);
  } catch (error) {
    const denied = (error as NodeJS.ErrnoException).code === 'EACCES';
    const action = denied ? 'connect to' : 'unable to look up';
    return { text: `${action} ${path}: ${openErrorText(error)}`, denied };
  }
  if (await trigger(path, bytes, timeoutSeconds)) return undefined;
  return { text: `connect to ${path}: Connection refused`, denied: false };
}
