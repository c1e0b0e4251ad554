/** File systems: their free space, their root, and getting one to stable storage. */
import { statfsSync } from 'node:fs';
import { checked } from './error.ts';
import { declare } from './native.ts';

const syncfs = declare('int syncfs(int fd)');
const chrootCall = declare('int chroot(const char *path)');

/** Waits until all of the file system that holds `fd` is on stable storage. */
export function syncFileSystem(fd: number): void {
  checked(syncfs(fd), 'syncfs', fd);
}

/** Makes `path` the root directory of this process, and stands in it. */
export function chroot(path: string): void {
  checked(chrootCall(path), 'chroot', path);
  process.chdir('/');
  rootChanged = true;
}

/** A process changes its root directory once, and for good. */
let rootChanged = false;

/** Whether absolute paths of before now mean something else. */
export function hasChangedRoot(): boolean {
  return rootChanged;
}

/** What is left on a file system for those who are not root. */
export interface FreeSpace {
  readonly blockSize: number;
  readonly blocks: number;
  readonly bytes: number;
  readonly inodes: number;
}

/** How much room the file system of `path` has. */
export function freeSpace(path: string): FreeSpace {
  const { bsize, bavail, ffree } = statfsSync(path);
  return { blockSize: bsize, blocks: bavail, bytes: bavail * bsize, inodes: ffree };
}
