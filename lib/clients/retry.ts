import { sleep } from '../clock/clock.ts';
import type { ClientOptions } from './options.ts';

/** A service that failed us is being restarted: at once, if it was one accident. */
const PAUSES_MS = [0, 50, 200, 500, ...Array<number>(9).fill(1000)];

/**
 * Asks again while the process that has our connection dies before it has said anything that binds
 * it. A service that can't be connected to has had all our patience already.
 *
 * @throws what the last attempt threw
 */
export async function retrying<T>(options: ClientOptions, attempt: () => Promise<T>): Promise<T> {
  const { stopping, log } = options;
  for (let count = 0; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      const isGone = (error as Error).message.startsWith('connect to ');
      if (isGone || count >= PAUSES_MS.length || stopping?.aborted === true) throw error;
      log?.warn((error as Error).message);
    }
    await sleep(PAUSES_MS[count] ?? 0, stopping);
  }
}
