/** Moves of a message between queues: single renames. Nothing is ever overwritten. */
import { lstatSync, mkdirSync, renameSync, unlink, unlinkSync, utimesSync } from 'node:fs';
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
    const taken = lstatSync(target, { throwIfNoEntry: false });
    if (taken === undefined) return this.rename(from, to, id);
    const source = lstatSync(this.path(from, id), { throwIfNoEntry: false });
    if (source === undefined) return false;
    if (source.ino !== taken.ino || source.dev !== taken.dev) {
      throw new NameTakenError(`${target}: file exists; run postsuper to repair the queue`);
    }
    // The same message twice, as a crash of the machine may leave it: rename would leave both.
    unlinkSync(this.path(from, id));
    return true;
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
      // A file that is not ours, restored by root perhaps: who opens it says what to do about it.
      if (!isErrno(error, 'ENOENT', 'EPERM', 'ELOOP')) throw error;
    }
  }

  /**
   * Removes a message. Others go on meanwhile: while someone waits for fsync, the file system may
   * make this wait for the same commit.
   *
   * @returns false when it was gone already
   */
  remove(queue: QueueName, id: QueueId): Promise<boolean> {
    return new Promise((resolve, reject) => {
      unlink(this.path(queue, id), (error) => {
        if (error === null) resolve(true);
        else if (error.code === 'ENOENT') resolve(false);
        else reject(error);
      });
    });
  }
}
