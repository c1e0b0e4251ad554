/** postscreen_cache_map: what clients have passed, for when they come again. */
import { every, now, sleep } from '../../lib/clock/clock.ts';
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
/** Entries that are looked at in one go: clients wait meanwhile. */
const PAGE = 1000;

/** The cache belongs to this process alone. */
export class Cache {
  readonly #settings: CacheSettings;
  readonly #log: Log;
  readonly #file: CacheFile;
  #isCleaning = false;
  #isClosed = false;

  /** Opens it, while we still have all rights; it is `owner`'s. */
  constructor(settings: CacheSettings, owner: string, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#file = CacheFile.open(settings.postscreen_cache_map, owner);
  }

  /** Cleans up now and then. @param isKept whether an entry is still of use */
  start(isKept: (value: string) => boolean): void {
    const { postscreen_cache_cleanup_interval: interval } = this.#settings;
    if (interval === 0) return;
    const look = () => {
      this.#cleanUpWhenDue(isKept).catch((error: unknown) => {
        this.#isCleaning = false;
        this.#log.error(`cannot clean the cache up: ${(error as Error).message}`);
      });
    };
    look();
    every(Math.min(LOOK_MS, interval * 1000), look).unref();
  }

  /** What a client has passed. A disk that is full, or worse, is no reason to let nobody in. */
  get(address: string): string | undefined {
    try {
      return this.#file.get(address);
    } catch (error) {
      this.#complain('read', error);
      return undefined;
    }
  }

  put(address: string, value: string): void {
    try {
      this.#file.put(address, value);
    } catch (error) {
      this.#complain('write', error);
    }
  }

  #complain(what: string, error: unknown): void {
    const { postscreen_cache_map: name } = this.#settings;
    this.#log.warn(`cannot ${what} cache ${name}: ${(error as Error).message}`);
  }

  close(): void {
    this.#isClosed = true;
    this.#file.close();
  }

  async #cleanUpWhenDue(isKept: (value: string) => boolean): Promise<void> {
    const seconds = Math.floor(now() / 1000);
    const cleaned = Number(this.#file.get(CLEANED_KEY) ?? 0);
    const { postscreen_cache_cleanup_interval: interval, postscreen_cache_map } = this.#settings;
    if (this.#isCleaning || this.#isClosed || seconds < cleaned + interval) return;
    this.#isCleaning = true;
    let retained = 0;
    let dropped = 0;
    for (let last = ''; ; ) {
      const page = this.#file.page(last, PAGE);
      for (const [key, value] of page) {
        if (key === CLEANED_KEY) continue;
        if (isKept(value)) retained += 1;
        else {
          this.#file.remove(key);
          dropped += 1;
        }
      }
      last = page.at(-1)?.[0] ?? '';
      if (page.length < PAGE) break;
      await sleep(0);
      if (this.#isClosed) return;
    }
    this.#file.put(CLEANED_KEY, String(seconds));
    this.#isCleaning = false;
    this.#log.info(
      `cache ${postscreen_cache_map} full cleanup: retained=${retained} dropped=${dropped} entries`,
    );
  }
}
