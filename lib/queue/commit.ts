/**
 * The one door to stable storage: nothing else in the project calls fsync on a queue file or on a
 * log of one. After a failure the file must be abandoned: a second fsync may lie.
 */
import { fsync, fsyncSync } from 'node:fs';

/** Waits until all that was written to an open file is on stable storage; others go on meanwhile. */
export function commit(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fsync(fd, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** The same where one message waits and nobody else does. */
export function commitSync(fd: number): void {
  fsyncSync(fd);
}
