/** Walking through a queue, however many messages it holds. */
import { type Dir, opendirSync } from 'node:fs';
import { isErrno } from '../os/error.ts';
import { parseQueueId, type QueueId } from './queue-id.ts';

/** Directory entries read at a time. */
const ENTRIES = 128;
/** hash_queue_depth is 16 at most. */
const LEVELS_MAX = 16;

/**
 * A walk through one queue, in directory order, one name at a time. What it finds may be gone, not
 * be a message, or lie on the wrong level: whoever uses it computes the path from the id and looks.
 */
export class QueueScan {
  /** From the queue's folder down. */
  readonly #open: { readonly folder: string; readonly dir: Dir }[] = [];

  /** Begins at a queue's folder; a folder that is missing is empty. */
  constructor(folder: string) {
    this.#enter(folder);
  }

  /** The next id, or `undefined` at the end; the walk is over then. */
  next(): QueueId | undefined {
    for (let level = this.#open.at(-1); level !== undefined; level = this.#open.at(-1)) {
      const entry = level.dir.readSync();
      if (entry === null) {
        level.dir.closeSync();
        this.#open.pop();
        continue;
      }
      const { name } = entry;
      if (name.length === 1) {
        if (this.#open.length <= LEVELS_MAX) this.#enter(`${level.folder}/${name}`);
        continue;
      }
      const id = parseQueueId(name);
      if (id !== undefined) return id;
    }
    return undefined;
  }

  /** Ends a walk before its end. */
  close(): void {
    for (const { dir } of this.#open.splice(0)) dir.closeSync();
  }

  #enter(folder: string): void {
    try {
      this.#open.push({ folder, dir: opendirSync(folder, { bufferSize: ENTRIES }) });
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    }
  }
}

/** All ids of a queue: `for (const id of scanQueue('deferred'))`. */
export function* scanQueue(folder: string): Generator<QueueId, void, undefined> {
  const scan = new QueueScan(folder);
  try {
    for (let id = scan.next(); id !== undefined; id = scan.next()) yield id;
  } finally {
    scan.close();
  }
}
