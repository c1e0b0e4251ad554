/**
 * The one door to stable storage: nothing else in the project calls fsync on a queue file, on a log
 * of one, or on the journal. After a failure the file must be abandoned: a second fsync may lie.
 */
import { fdatasync, fsync, fsyncSync } from 'node:fs';

/** Waits until all that was written to an open file is on stable storage; others go on meanwhile. */
export function commit(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fsync(fd, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** The same for what is in a file, and what it takes to read that. */
export function commitData(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** The same where one message waits and nobody else does; and for directories. */
export function commitSync(fd: number): void {
  fsyncSync(fd);
}
