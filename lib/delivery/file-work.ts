/**
 * File work under a recipient's identity, in threads: on the event loop no other task may ever run
 * with a recipient's rights. See DESIGN.md section 6.
 */
import { createPool, type Pool } from '../async/pool.ts';
import { sleep } from '../clock/clock.ts';
import { assumeIdentity, type Identity, IdentityError, restoreIdentity } from '../os/identity.ts';
import { type FileFailure, fileFailure } from './file-result.ts';

/** One piece of work, and as whom to do it. */
export interface WorkStep<Step> {
  readonly identity: Identity;
  readonly work: Step;
}

/** Which step had a result (-1: none could), and what it was; none: all steps passed. */
export interface WorkDone<Result> {
  readonly step: number;
  readonly result: Result | FileFailure | undefined;
}

/**
 * What a worker thread exports: takes the steps in order, each as its user, until one has a result.
 * It throws nothing but IdentityError: then the thread must not live on.
 */
export function doFileWork<Step, Result>(
  steps: readonly WorkStep<Step>[],
  take: (step: Step) => Result | undefined,
): WorkDone<Result> {
  let current: Identity | undefined;
  try {
    for (const [step, { identity, work }] of steps.entries()) {
      // To change and to change back costs more than many a step.
      if (current === undefined || !isSame(current, identity)) {
        restoreIdentity();
        current = identity;
        assumeIdentity(identity);
      }
      const result = take(work);
      if (result !== undefined) return { step, result };
    }
    return { step: steps.length, result: undefined };
  } catch (error) {
    if (error instanceof IdentityError) throw error;
    return { step: -1, result: fileFailure(error, 'file work for the recipient', '4.3.0') };
  } finally {
    restoreIdentity();
  }
}

function isSame(one: Identity, other: Identity): boolean {
  return one.uid === other.uid && one.gid === other.gid && `${one.groups}` === `${other.groups}`;
}

/** How often to ask for a mailbox that is locked, and how long to wait in between. */
export interface LockPatience {
  readonly attempts: number;
  readonly delaySeconds: number;
}

/** The threads, seen from the event loop. */
export class FileWork<Step, Result extends { readonly kind: string }> {
  readonly #pool: Pool;
  readonly #patience: LockPatience;

  /** @param worker `local-delivery`: the thread's file, which exports `doFileWork` with its steps */
  constructor(worker: string, options: { threads: number; patience: LockPatience }) {
    this.#pool = createPool(worker, { threads: options.threads });
    this.#patience = options.patience;
  }

  /** Has the steps done. A lock that is held is asked for again later, without holding a thread. */
  async run(steps: readonly WorkStep<Step>[]): Promise<WorkDone<Result>> {
    for (let attempt = 1; ; attempt += 1) {
      const done = await this.#once(steps);
      if (done.result?.kind !== 'busy' || attempt >= this.#patience.attempts) return done;
      await sleep(this.#patience.delaySeconds * 1000);
    }
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  async #once(steps: readonly WorkStep<Step>[]): Promise<WorkDone<Result>> {
    try {
      return await this.#pool.run<WorkDone<Result>>(steps);
    } catch (error) {
      // The thread is gone, and with it the identity that could not be given back.
      return { step: -1, result: fileFailure(error, 'delivery thread failed', '4.3.0') };
    }
  }
}
