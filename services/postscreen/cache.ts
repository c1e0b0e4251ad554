/** postscreen_cache_map: what clients have passed, for when they come again. */
import { every, now } from '../../lib/clock/clock.ts';
import type { Log } from '../../lib/log/log.ts';
import { CacheFile } from '../../lib/table/cache-file.ts';

export interface CacheSettings {
  readonly postscreen_cache_cleanup_interval: number;
  readonly postscreen_cache_map: string;
}

/** Where Postfix's caches note when they were cleaned up last. */
const CLEANED_KEY = '_LAST_CACHE_CLEANUP_COMPLETED_';
/** How often to look whether it is time. */
const LOOK_MS = 60_000;

/** The cache belongs to this process alone. */
export class Cache {
  readonly #settings: CacheSettings;
  readonly #log: Log;
  readonly #file: CacheFile;

  /** Opens it. @param isKept whether an entry is still of use */
  constructor(settings: CacheSettings, log: Log, isKept: (value: string) => boolean) {
    this.#settings = settings;
    this.#log = log;
    this.#file = new CacheFile(settings.postscreen_cache_map);
    const { postscreen_cache_cleanup_interval: interval } = settings;
    if (interval === 0) return;
    const look = () => this.#cleanUpWhenDue(isKept);
    look();
    every(Math.min(LOOK_MS, interval * 1000), look).unref();
  }

  get(address: string): string | undefined {
    return this.#file.get(address);
  }

  put(address: string, value: string): void {
    this.#file.put(address, value);
  }

  close(): void {
    this.#file.close();
  }

  #cleanUpWhenDue(isKept: (value: string) => boolean): void {
    const seconds = Math.floor(now() / 1000);
    const cleaned = Number(this.#file.get(CLEANED_KEY) ?? 0);
    if (seconds < cleaned + this.#settings.postscreen_cache_cleanup_interval) return;
    const entries = this.#file.entries().filter(([key]) => key !== CLEANED_KEY);
    const expired = entries.filter(([, value]) => !isKept(value));
    for (const [key] of expired) this.#file.remove(key);
    this.#file.put(CLEANED_KEY, String(seconds));
    const retained = entries.length - expired.length;
    this.#log.info(
      `cache ${this.#settings.postscreen_cache_map} full cleanup: retained=${retained} dropped=${expired.length} entries`,
    );
  }
}
