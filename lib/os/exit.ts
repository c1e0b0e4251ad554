/** Leaving without looking back. */
import { declare } from './native.ts';

const exitCall = declare<void>('void _exit(int status)');

/**
 * Ends the process at once. `process.exit` first waits for every thread, and one that is busy in a
 * library of C waits for nobody. What is to be written has to be written by now.
 */
export function exitNow(status: number): never {
  exitCall(status);
  throw new Error('_exit returned');
}
