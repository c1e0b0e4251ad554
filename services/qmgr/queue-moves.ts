/** Moves of a message between queues: single renames. Nothing is ever overwritten. */
import { lstatSync, mkdirSync, renameSync, unlinkSync, utimesSync } from 'node:fs';
import { now } from '../../lib/clock/clock.ts';
import { isErrno } from '../../lib/os/error.ts';
import type { QueueId } from '../../lib/queue/queue-id.ts';
import {
  type Hashing,
  type QueueName,
  queueFolder,
  queuePath,
} from '../../lib/queue/queue-path.ts';

/** A file of that name is in the way: a copied queue, which postsuper repairs. */
export class NameTakenError extends Error {
  override readonly name = 'NameTakenError';
}

export class QueueMoves {
  readonly #hashing: Hashing;

  constructor(hashing: Hashing) {
    this.#hashing = hashing;
  }

  path(queue: QueueName, id: QueueId): string {
    return queuePath(queue, id, this.#hashing);
  }

  /**
   * Moves a message.
   *
   * @returns false when it is not there
   * @throws {NameTakenError} when another of its name is
   */
  move(from: QueueName, to: QueueName, id: QueueId): boolean {
    const target = this.path(to, id);
    if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) {
      throw new NameTakenError(`${target}: file exists; run postsuper to repair the queue`);
    }
    return this.rename(from, to, id);
  }

  /** The same where the caller knows that nothing is in the way. */
  rename(from: QueueName, to: QueueName, id: QueueId): boolean {
    const source = this.path(from, id);
    const target = this.path(to, id);
    try {
      renameSync(source, target);
      return true;
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
    // Either the message is not there, or a folder of a hashed queue.
    if (lstatSync(source, { throwIfNoEntry: false }) === undefined) return false;
    mkdirSync(queueFolder(to, id, this.#hashing), { recursive: true, mode: 0o700 });
    renameSync(source, target);
    return true;
  }

  /** Sets when a message is due. Before it is moved: so the scan never sees it due too early. */
  setDue(queue: QueueName, id: QueueId, delaySeconds: number): void {
    const due = now() / 1000 + delaySeconds;
    try {
      utimesSync(this.path(queue, id), due, due);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }

  /** @returns false when it was gone already */
  remove(queue: QueueName, id: QueueId): boolean {
    try {
      unlinkSync(this.path(queue, id));
      return true;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false;
      throw error;
    }
  }
}
