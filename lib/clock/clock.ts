/**
 * The one place where time is read. Everything that mail does by the clock (stamps, back-off,
 * lifetimes, caches, time limits) asks here, so that a laboratory can run an instance's clock ahead.
 */

/** Milliseconds since the epoch, by the wall clock. */
export function now(): number {
  return Date.now();
}

/** The wall clock as queue files and queue ids carry it. */
export interface WallTime {
  readonly seconds: number;
  readonly microseconds: number;
}

/**
 * Microseconds since the epoch need more digits than `Date.now()` has: the fraction of the
 * monotonic clock fills them in, which is as good as unique within a process.
 */
export function nowMicroseconds(): WallTime {
  const milliseconds = performance.timeOrigin + performance.now();
  const drift = Date.now() - milliseconds;
  // The wall clock may have been set since the process started; follow it.
  const corrected = Math.abs(drift) > 1000 ? milliseconds + drift : milliseconds;
  const seconds = Math.floor(corrected / 1000);
  return { seconds, microseconds: Math.floor((corrected - seconds * 1000) * 1000) };
}

/** Milliseconds from an arbitrary start that never go backwards: for measuring durations. */
export function monotonic(): number {
  return performance.now();
}

/** A calendar view of a moment, for formatting dates. */
export function dateOf(milliseconds: number): Date {
  return new Date(milliseconds);
}

/** Something that was set to happen later. */
export interface Timer {
  /** It will not happen any more. Harmless when it has. */
  stop(): void;
  /** It shall not keep the process alive. */
  unref(): Timer;
}

/** Node's timers hold 31 bits: longer waits are cut short rather than fired at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Calls `action` once, `delayMs` from now. */
export function after(delayMs: number, action: () => void): Timer {
  const handle = setTimeout(action, Math.min(delayMs, TIMER_MAX_MS));
  const timer: Timer = {
    stop: () => clearTimeout(handle),
    unref: () => {
      handle.unref();
      return timer;
    },
  };
  return timer;
}

/** Calls `action` every `periodMs`. */
export function every(periodMs: number, action: () => void): Timer {
  const handle = setInterval(action, Math.min(periodMs, TIMER_MAX_MS));
  const timer: Timer = {
    stop: () => clearInterval(handle),
    unref: () => {
      handle.unref();
      return timer;
    },
  };
  return timer;
}

/** Waits `delayMs`, or less when `stopping` says so; it never throws. */
export function sleep(delayMs: number, stopping?: AbortSignal): Promise<void> {
  if (stopping?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      timer.stop();
      stopping?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = after(delayMs, finish);
    stopping?.addEventListener('abort', finish, { once: true });
  });
}
