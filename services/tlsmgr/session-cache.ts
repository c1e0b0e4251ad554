/** TLS sessions of one kind that are remembered: `smtp_tls_session_cache_database`. */
import { CacheFile } from '../../lib/table/cache-file.ts';

export interface CacheSettings {
  /** `smtp` */
  readonly kind: string;
  /** `btree:path` */
  readonly table: string;
  readonly timeoutSeconds: number;
}

/** A session is a few hundred bytes, with certificates a few thousand. */
const SESSION_BYTES_MAX = 64 * 1024;
const ID_MAX = 2048;
/** Keys in the table that nobody looks for any more are dropped so often. */
export const CLEAN_UP_SECONDS_MIN = 60;

export class SessionCacheFile {
  readonly settings: CacheSettings;
  readonly #file: CacheFile;

  constructor(settings: CacheSettings) {
    this.settings = settings;
    this.#file = new CacheFile(settings.table);
  }

  /** @param now seconds since the epoch */
  lookup(id: string, now: number): Buffer | undefined {
    const found = parseEntry(this.#file.get(id));
    if (found === undefined) return undefined;
    if (found.time + this.settings.timeoutSeconds >= now) return found.session;
    this.#file.remove(id);
    return undefined;
  }

  /** @returns whether it was taken */
  update(id: string, session: Buffer, now: number): boolean {
    if (id === '' || id.length > ID_MAX || session.length > SESSION_BYTES_MAX) return false;
    this.#file.put(id, `${now} ${session.toString('base64')}`);
    return true;
  }

  delete(id: string): void {
    this.#file.remove(id);
  }

  /** Forgets what has expired. */
  cleanUp(now: number): { readonly retained: number; readonly dropped: number } {
    const entries = this.#file.entries();
    let dropped = 0;
    for (const [id, value] of entries) {
      const found = parseEntry(value);
      if (found !== undefined && found.time + this.settings.timeoutSeconds >= now) continue;
      this.#file.remove(id);
      dropped += 1;
    }
    return { retained: entries.length - dropped, dropped };
  }

  close(): void {
    this.#file.close();
  }
}

function parseEntry(text: string | undefined): { time: number; session: Buffer } | undefined {
  const [, time, session = ''] = /^(\d+) (.*)$/.exec(text ?? '') ?? [];
  if (time === undefined) return undefined;
  return { time: Number(time), session: Buffer.from(session, 'base64') };
}
