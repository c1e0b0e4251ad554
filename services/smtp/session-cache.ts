import { after, monotonic, type Timer } from '../../lib/clock/clock.ts';
import type { SmtpSession } from './session.ts';

export interface CacheLimits {
  /** How long a session may lie idle. */
  readonly idleMs: number;
  /** How long it may be used in all. */
  readonly ageMs: number;
  /** How often it may be used again; 0: no limit. */
  readonly reuseCount: number;
}

interface Idle {
  readonly session: SmtpSession;
  readonly keys: readonly string[];
  readonly timer: Timer;
}

/** Sessions of one process that may lie idle at once. */
const SESSIONS_MAX = 100;

/** Sessions that wait for more mail to the same place, by destination and by address. */
export class SessionCache {
  readonly #limits: CacheLimits;
  readonly #idle = new Map<string, Idle[]>();
  #size = 0;

  constructor(limits: CacheLimits) {
    this.#limits = limits;
  }

  /** Whether a session may be kept at all: neither worn out nor too old. */
  accepts(session: SmtpSession): boolean {
    const { ageMs, reuseCount } = this.#limits;
    const fresh = monotonic() - session.openedAt < ageMs;
    const uses = reuseCount === 0 || session.uses <= reuseCount;
    return fresh && uses && !session.spent && this.#size < SESSIONS_MAX;
  }

  /** Takes a session in; it closes when nobody comes for it. */
  put(keys: readonly string[], session: SmtpSession): void {
    const timer = after(this.#limits.idleMs, () => this.#drop(entry, 'politely')).unref();
    const entry: Idle = { session, keys, timer };
    for (const key of keys) this.#idle.set(key, [...(this.#idle.get(key) ?? []), entry]);
    this.#size += 1;
    // The server has hung up, or says 421.
    session.watch(() => this.#drop(entry, 'at once'));
    if (session.isStale) this.#drop(entry, 'at once');
  }

  /** The session used last, which is the likeliest to be alive; it is then the caller's. */
  take(key: string): SmtpSession | undefined {
    for (let entry = this.#last(key); entry !== undefined; entry = this.#last(key)) {
      this.#remove(entry);
      entry.session.unwatch();
      if (!entry.session.isStale && this.accepts(entry.session)) return entry.session;
      entry.session.destroy();
    }
    return undefined;
  }

  close(): void {
    for (const entries of [...this.#idle.values()]) {
      for (const entry of entries) this.#drop(entry, 'politely');
    }
  }

  #last(key: string): Idle | undefined {
    return this.#idle.get(key)?.at(-1);
  }

  #drop(entry: Idle, how: 'politely' | 'at once'): void {
    this.#remove(entry);
    entry.session.unwatch();
    if (how === 'politely') entry.session.send('QUIT\r\n');
    entry.session.close();
  }

  #remove(entry: Idle): void {
    entry.timer.stop();
    let found = false;
    for (const key of entry.keys) {
      const entries = this.#idle.get(key) ?? [];
      const rest = entries.filter((other) => other !== entry);
      found ||= rest.length < entries.length;
      if (rest.length > 0) this.#idle.set(key, rest);
      else this.#idle.delete(key);
    }
    if (found) this.#size -= 1;
  }
}
