/** Our one way to stop waiting. */
import { after } from '../clock/clock.ts';

/** What was waited for did not come in time. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  readonly code = 'ETIMEDOUT';
  readonly limitMs: number;

  constructor(limitMs: number, what: string) {
    super(`timeout after ${limitMs / 1000} s: ${what}`);
    this.limitMs = limitMs;
  }
}

/**
 * Runs `action` for at most `ms`. Its signal is aborted when the time is up or `stopping` is
 * aborted; it should then let go of what it holds and reject. This returns at once all the same.
 *
 * @param what what is being done, for the error: `connect to 192.0.2.1 port 25`
 * @throws {DeadlineError} when the time is up; the reason of `stopping` when that was aborted
 */
export async function withDeadline<T>(
  ms: number,
  stopping: AbortSignal | undefined,
  action: (signal: AbortSignal) => Promise<T>,
  what = 'operation',
): Promise<T> {
  stopping?.throwIfAborted();
  const controller = new AbortController();
  const stop = () => controller.abort(stopping?.reason);
  const timer = after(ms, () => controller.abort(new DeadlineError(ms, what)));
  stopping?.addEventListener('abort', stop, { once: true });
  try {
    return await raced(controller.signal, action);
  } finally {
    timer.stop();
    stopping?.removeEventListener('abort', stop);
  }
}

function raced<T>(signal: AbortSignal, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    // The reason comes first: an action that is cut off rejects with less telling words.
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    action(signal).then(resolve, reject);
  });
}
