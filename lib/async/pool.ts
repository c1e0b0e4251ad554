/**
 * Threads for work that must not stop an event loop: synchronous file work under a recipient's
 * identity, an administrator's patterns. The only file that knows piscina.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exitNow } from '../os/exit.ts';

/** Threads that all run the default export of one `*.worker.ts` file. */
export interface Pool {
  /** Runs one task in a thread. A task that is aborted, or ends its thread, rejects. */
  run<T>(task: unknown, options?: { readonly signal?: AbortSignal }): Promise<T>;
  /** Lets running tasks finish, then ends the threads. */
  close(): Promise<void>;
  /**
   * A thread is busy in a library of C, and may be for ever. Nothing can stop it but the end of the
   * process, which from now on does not wait for threads.
   */
  abandon(): void;
}

/**
 * Makes a pool; a thread starts when the first task needs it, and then lives as long as the process
 * (native modules don't like threads that come and go).
 *
 * @param workerName `local-delivery` for `local-delivery.worker.ts`, wherever in lib or services
 */
export function createPool(workerName: string, options: { readonly threads: number }): Pool {
  const { Piscina } = createRequire(import.meta.url)('piscina') as typeof import('piscina');
  const piscina = new Piscina({
    filename: workerFile(workerName),
    minThreads: 0,
    maxThreads: options.threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1,
    recordTiming: false,
    workerHistogram: false,
  });
  return {
    run: (task, { signal } = {}) => piscina.run(task, signal ? { signal } : undefined),
    close: () => piscina.close(),
    abandon: () => {
      // After everybody else who has something to do at the end, such as the log.
      process.once('exit', (status) => exitNow(status));
    },
  };
}

/** Workers are built into `build/workers`, beside the folder of whatever program this is. */
function workerFile(workerName: string): string {
  const bundle = fileURLToPath(import.meta.url);
  for (let folder = dirname(bundle); ; folder = dirname(folder)) {
    const file = join(folder, 'workers', `${workerName}.worker.cjs`);
    if (existsSync(file)) return file;
    if (folder === dirname(folder)) {
      throw new Error(`No workers/${workerName}.worker.cjs above ${bundle}: build it first`);
    }
  }
}
