import { every } from '../clock/clock.ts';
import { alarm } from '../os/alarm.ts';

/** How often a turning event loop is due to say so, within the time it has. */
const BEATS = 3;

/**
 * Ends the process when its event loop does not turn for so long: a daemon that is stuck holds its
 * clients up for ever, a new one does not. The kernel does it, since nothing of ours would run.
 */
export function startWatchdog(seconds: number): void {
  if (seconds <= 0) return;
  alarm(seconds);
  every((seconds * 1000) / BEATS, () => alarm(seconds)).unref();
}
