/**
 * Appends to the logs of messages. A log is locked while it is written: the entries that one
 * process has for the same message go one after the other, so that they never wait for their own lock.
 */
import { appendLog, type LogEntry, type LogPlace } from '../../lib/queue/logs.ts';

/** The logs that are being appended to. */
export class Appends {
  readonly #oldForm: boolean;
  readonly #last = new Map<string, Promise<void>>();

  /** @param oldForm backwards_bounce_logfile_compatibility */
  constructor(oldForm: boolean) {
    this.#oldForm = oldForm;
  }

  /** Resolves when the entry is on stable storage. */
  async append(place: LogPlace, entry: LogEntry): Promise<void> {
    const before = this.#last.get(place.id);
    const appended = this.#after(before, place, entry);
    this.#last.set(place.id, appended);
    try {
      await appended;
    } finally {
      if (this.#last.get(place.id) === appended) this.#last.delete(place.id);
    }
  }

  async #after(before: Promise<void> | undefined, place: LogPlace, entry: LogEntry): Promise<void> {
    await before?.catch(() => {});
    await appendLog(place, entry, { oldForm: this.#oldForm });
  }
}
