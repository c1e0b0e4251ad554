/** File systems: their free space, their root, and getting one to stable storage. */
import { ftruncateSync, statfsSync } from 'node:fs';
import { checked } from './error.ts';
import { declare } from './native.ts';

const syncfs = declare('int syncfs(int fd)');
const chrootCall = declare('int chroot(const char *path)');

/** Waits until all of the file system that holds `fd` is on stable storage. */
export function syncFileSystem(fd: number): void {
  checked(syncfs(fd), 'syncfs', fd);
}

const fallocate = declare('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
/** More than any file has. */
const ALL_BYTES = 2 ** 40;

/**
 * Frees all that a file has on the disk; what is left is at most one zero byte. A file that is cut to
 * nothing has what is written to it next brought to the disk by the first who closes it (ext4's
 * auto_da_alloc), and that one waits.
 */
export function freeContent(fd: number): void {
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  const isFree = fallocate(fd, mode, 0, ALL_BYTES) === 0;
  ftruncateSync(fd, isFree ? 1 : 0);
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
