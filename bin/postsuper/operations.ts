/** What an administrator does to messages: by id, or to all. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  renameSync,
  type Stats,
  unlinkSync,
  utimesSync,
} from 'node:fs';
import { now } from '../../lib/clock/clock.ts';
import type { SuperEvent } from '../../lib/log/event.ts';
import type { Log } from '../../lib/log/log.ts';
import { isErrno } from '../../lib/os/error.ts';
import { removeLog } from '../../lib/queue/logs.ts';
import { isReady, QUEUE_FILE_MODE } from '../../lib/queue/queue-file.ts';
import { parseQueueId, type QueueId } from '../../lib/queue/queue-id.ts';
import {
  type Hashing,
  type QueueName,
  queueFolder,
  queuePath,
} from '../../lib/queue/queue-path.ts';
import { LOG_QUEUES, MESSAGE_QUEUES } from './queues.ts';
import { walk } from './walk.ts';

/** The letters of the options. */
export type Operation = 'd' | 'h' | 'H' | 'r' | 'e' | 'f';

type Step = 'delete' | 'hold' | 'release' | 'requeue' | 'expire';

const STEPS: Readonly<Record<Operation, readonly Step[]>> = {
  d: ['delete'],
  h: ['hold'],
  H: ['release'],
  r: ['requeue'],
  e: ['expire'],
  f: ['expire', 'release'],
};

const DONE: Readonly<Record<Step, SuperEvent['action']>> = {
  delete: 'removed',
  hold: 'placed on hold',
  release: 'released from hold',
  requeue: 'requeued',
  expire: 'expired',
};

/** What is counted at the end, in this order. */
const TOTALS: readonly (readonly [Step, string])[] = [
  ['requeue', 'Requeued'],
  ['delete', 'Deleted'],
  ['expire', 'Force-expired'],
  ['hold', 'Placed on hold'],
  ['release', 'Released from hold'],
];

export interface OperationOptions {
  readonly queues: readonly QueueName[];
  readonly hashing: Hashing;
  readonly log: Log;
}

/** Does what the options say, and counts. */
export class Operations {
  readonly #queues: readonly QueueName[];
  readonly #messageQueues: readonly QueueName[];
  readonly #hashing: Hashing;
  readonly #log: Log;
  readonly #counts = new Map<Step, number>();

  constructor({ queues, hashing, log }: OperationOptions) {
    this.#queues = queues;
    this.#messageQueues = queues.filter((queue) => MESSAGE_QUEUES.includes(queue));
    this.#hashing = hashing;
    this.#log = log;
  }

  /** @param text a queue id, or `ALL` */
  run(operation: Operation, text: string): void {
    for (const step of STEPS[operation]) {
      this.#count(step, 0);
      if (text === 'ALL') {
        this.#doAll(step);
        continue;
      }
      const id = parseQueueId(text);
      if (id === undefined) {
        this.#log.warn(`invalid mail queue id: ${text}`);
        return;
      }
      if (!this.#doOne(step, id)) continue;
      this.#log.info({ kind: 'super', queueId: id, action: DONE[step] });
    }
  }

  /** Logs how many messages there were, for each kind of operation that was asked for. */
  logTotals(): void {
    for (const [step, word] of TOTALS) {
      const count = this.#counts.get(step);
      if (count === undefined) continue;
      this.#log.info(`${word}: ${count} message${count === 1 ? '' : 's'}`);
    }
  }

  #doOne(step: Step, id: QueueId): boolean {
    for (const queue of this.#messageQueues) {
      const stats = lstatSync(this.#path(queue, id), { throwIfNoEntry: false });
      if (stats === undefined || !isReady(stats)) continue;
      if (!this.#act(step, queue, id, stats)) continue;
      this.#count(step, 1);
      return true;
    }
    return false;
  }

  #doAll(step: Step): void {
    for (const queue of step === 'delete' ? this.#queues : this.#messageQueues) {
      for (const { path, name, isFolder } of walk(queue)) {
        const id = parseQueueId(name);
        const stats = isFolder ? undefined : lstatSync(path, { throwIfNoEntry: false });
        if (stats === undefined) continue;
        const isMessage = MESSAGE_QUEUES.includes(queue) && isReady(stats);
        if (step === 'delete') {
          if (remove(path) && isMessage) this.#count(step, 1);
        } else if (isMessage && id !== undefined && path === this.#path(queue, id)) {
          if (this.#act(step, queue, id, stats)) this.#count(step, 1);
        }
      }
    }
  }

  /** @returns false when the step means nothing for a message in that queue */
  #act(step: Step, queue: QueueName, id: QueueId, stats: Stats): boolean {
    switch (step) {
      case 'delete':
        for (const logs of LOG_QUEUES) removeLog({ queue: logs, id, hashing: this.#hashing });
        return remove(this.#path(queue, id));
      case 'hold':
        return queue !== 'maildrop' && queue !== 'hold' && this.#move(queue, 'hold', id);
      case 'release':
        return queue === 'hold' && this.#move(queue, 'deferred', id);
      case 'requeue':
        return queue !== 'maildrop' && this.#requeue(queue, id);
      case 'expire':
        return queue !== 'maildrop' && this.#expire(queue, id, stats);
    }
  }

  #requeue(queue: QueueName, id: QueueId): boolean {
    if (!this.#move(queue, 'maildrop', id)) return false;
    const seconds = now() / 1000;
    try {
      utimesSync(this.#path('maildrop', id), seconds, seconds);
    } catch (error) {
      // pickup was faster.
      if (!isErrno(error, 'ENOENT')) throw error;
    }
    return true;
  }

  #expire(queue: QueueName, id: QueueId, stats: Stats): boolean {
    try {
      chmodSync(this.#path(queue, id), (stats.mode & 0o777) | QUEUE_FILE_MODE.expire);
      return true;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false;
      throw error;
    }
  }

  #move(from: QueueName, to: QueueName, id: QueueId): boolean {
    const target = this.#path(to, id);
    if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) {
      this.#log.warn(`can't rename ${this.#path(from, id)} to ${target}: File exists`);
      return false;
    }
    mkdirSync(queueFolder(to, id, this.#hashing), { recursive: true, mode: 0o700 });
    try {
      renameSync(this.#path(from, id), target);
      return true;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false;
      throw error;
    }
  }

  #path(queue: QueueName, id: QueueId): string {
    return queuePath(queue, id, this.#hashing);
  }

  #count(step: Step, more: number): void {
    this.#counts.set(step, (this.#counts.get(step) ?? 0) + more);
  }
}

function remove(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
