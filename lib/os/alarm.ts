/** The kernel's alarm clock. */
import { declare } from './native.ts';

const alarmCall = declare('unsigned int alarm(unsigned int seconds)');

/** Ends this process with SIGALRM in so many seconds; again: from now. 0 takes it back. */
export function alarm(seconds: number): void {
  alarmCall(Math.min(Math.max(0, Math.ceil(seconds)), SECONDS_MAX));
}

const SECONDS_MAX = 2 ** 31 - 1;
