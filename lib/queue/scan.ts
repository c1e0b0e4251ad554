/** Walking through a queue, however many messages it holds. */
import { opendirSync, readdirSync, statSync } from 'node:fs';
import { isErrno } from '../os/error.ts';
import { parseQueueId, type QueueId } from './queue-id.ts';

/** Directory entries read at a time. */
const ENTRIES = 128;
/** hash_queue_depth is 16 at most. */
const LEVELS_MAX = 16;
/** A folder of at most so many bytes has a few thousand names: they are read at once. */
const SMALL_BYTES = 64 * 1024;

/** A folder that is being walked through. */
interface Level {
  readonly folder: string;
  /** The next name, or `undefined` at the end. */
  next(): string | undefined;
  close(): void;
}

/**
 * A walk through one queue, in directory order, one name at a time. What it finds may be gone, not
 * be a message, or lie on the wrong level: whoever uses it computes the path from the id and looks.
 */
export class QueueScan {
  /** From the queue's folder down. */
  readonly #open: Level[] = [];

  /** Begins at a queue's folder; a folder that is missing is empty. */
  constructor(folder: string) {
    this.#enter(folder);
  }

  /** The next id, or `undefined` at the end; the walk is over then. */
  next(): QueueId | undefined {
    for (let level = this.#open.at(-1); level !== undefined; level = this.#open.at(-1)) {
      const name = level.next();
      if (name === undefined) {
        level.close();
        this.#open.pop();
        continue;
      }
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
    for (const level of this.#open.splice(0)) level.close();
  }

  #enter(folder: string): void {
    try {
      // To open a Dir costs as much as to deliver a message, and qmgr looks all the time.
      const isSmall = statSync(folder).size <= SMALL_BYTES;
      this.#open.push(isSmall ? readFolder(folder) : openFolder(folder));
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    }
  }
}

function readFolder(folder: string): Level {
  const names = readdirSync(folder);
  let at = 0;
  return { folder, next: () => names[at++], close: () => {} };
}

function openFolder(folder: string): Level {
  const dir = opendirSync(folder, { bufferSize: ENTRIES });
  return { folder, next: () => dir.readSync()?.name, close: () => dir.closeSync() };
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
