/**
 * Waiting until one of many descriptors is readable, without accepting from it: what master does.
 * Node's own event loop watches them, so no thread is held and exit waits for nothing.
 */
import { after, type Timer } from '../clock/clock.ts';
import { type PollHandle, watch } from './native.ts';

/** Waits for descriptors, one set at a time. */
export class Poller {
  #end: (() => void) | undefined;
  #woken = false;

  /**
   * Waits until a descriptor is readable (or hung up, or in error: a read says which), `timeoutMs`
   * have passed, or `wake()` is called.
   *
   * @param timeoutMs -1 waits without a limit
   * @returns the descriptors that are ready; none on a time-out or a wake-up
   */
  async poll(fds: readonly number[], timeoutMs: number): Promise<number[]> {
    if (this.#end !== undefined) throw new Error('This poller is already waiting');
    const ready = new Set<number>();
    const handles: PollHandle[] = [];
    let timer: Timer | undefined;
    try {
      await new Promise<void>((resolve) => {
        this.#end = resolve;
        const found = (fd: number) => {
          ready.add(fd);
          resolve();
        };
        // Registered anew each time: a descriptor may have been closed, and its number given away.
        for (const fd of fds) handles.push(watch(fd, () => found(fd)));
        if (this.#woken) resolve();
        if (timeoutMs >= 0) timer = after(timeoutMs, resolve);
      });
      return [...ready];
    } finally {
      this.#end = undefined;
      this.#woken = false;
      timer?.stop();
      for (const handle of handles) handle.close();
    }
  }

  /** Ends the wait that is under way, or else the next: the set of descriptors has changed. */
  wake(): void {
    this.#woken = true;
    this.#end?.();
  }
}

const everyone = new Poller();

/** The process's own poller: one wait at a time. */
export function poll(
  fds: readonly { readonly fd: number; readonly events: 'read' }[],
  timeoutMs: number,
): Promise<number[]> {
  return everyone.poll(
    fds.map(({ fd }) => fd),
    timeoutMs,
  );
}

/** Ends the wait of `poll()`, or the next. */
export function wakePoll(): void {
  everyone.wake();
}
