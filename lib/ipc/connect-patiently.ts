import { sleep } from '../clock/clock.ts';
import type { Log } from '../log/log.ts';
import { type ConnectionOptions, IpcConnection } from './connection.ts';

/** What Postfix's clients do when a service is not there (yet). ipc.md 2.4. */
export interface Patience {
  readonly tries: number;
  readonly pauseMs: number;
}

export const PATIENT: Patience = { tries: 11, pauseMs: 10_000 };
export const IMPATIENT: Patience = { tries: 1, pauseMs: 0 };

export interface PatientOptions extends ConnectionOptions {
  readonly patience?: Patience;
  readonly log?: Log;
  readonly stopping?: AbortSignal;
}

/**
 * Connects to a service that may have to be started first.
 *
 * @throws {IpcError} after the last try
 */
export async function connectPatiently(
  path: string,
  timeoutMs: number,
  options: PatientOptions = {},
): Promise<IpcConnection> {
  const { patience = PATIENT, log, stopping } = options;
  for (let count = 1; ; count += 1) {
    try {
      return await IpcConnection.connect(path, timeoutMs, options);
    } catch (error) {
      if (count >= patience.tries || stopping?.aborted === true) throw error;
      const reason = (error as Error).message.replace(/^connect to [^:]*: /, '');
      log?.warn(`connect #${count} to subsystem ${path}: ${reason}`);
    }
    await sleep(patience.pauseMs, stopping);
  }
}
