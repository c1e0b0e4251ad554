/** Reading the lists that users and administrators keep in files. Synchronous: for a thread. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import type { Status } from '../../lib/dsn/status.ts';
import { errorText, isErrno } from '../../lib/os/error.ts';

/** Look for a .forward file: the first of the paths that is there counts. */
export interface ForwardSearch {
  readonly kind: 'forward';
  readonly paths: readonly string[];
  /** Its owner, unless root owns it. */
  readonly uid: number;
  readonly bytesMax: number;
}

/** Read an :include: file. */
export interface IncludeRead {
  readonly kind: 'include';
  readonly path: string;
  readonly bytesMax: number;
}

/** See whether a directory is there: somebody's home, or where a command is to run. */
export interface DirectoryCheck {
  readonly kind: 'home' | 'directory';
  readonly path: string;
}

export type ListResult =
  | { readonly kind: 'list'; readonly path: string; readonly text: string; readonly uid: number }
  /** It is there and must not be used; the text says why. */
  | { readonly kind: 'ignored'; readonly path: string; readonly text: string }
  | { readonly kind: 'failed'; readonly status: Status<4>; readonly text: string };

/** @returns `undefined` when there is no such file: do without */
export function searchForward(search: ForwardSearch): ListResult | undefined {
  for (const path of search.paths) {
    try {
      // A symbolic link is no regular file: what it leads to may be somebody else's.
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      return readList(path, search.bytesMax, stats, (found) => forwardTrouble(found, search.uid));
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) continue;
      return {
        kind: 'failed',
        status: '4.3.0',
        text: `cannot open file ${path}: ${errorText(error)}`,
      };
    }
  }
  return undefined;
}

function forwardTrouble(stats: Stats, uid: number): string | undefined {
  if (!stats.isFile()) return 'is not a regular file';
  if (stats.uid !== 0 && stats.uid !== uid) return `has bad owner uid ${stats.uid}`;
  if ((stats.mode & constants.S_IWOTH) !== 0) return 'is world writable';
  return undefined;
}

export function readInclude({ path, bytesMax }: IncludeRead): ListResult {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    const text = `unable to lookup :include: file ${path}: ${errorText(error)}`;
    return { kind: 'ignored', path, text };
  }
  const check = (found: Stats) => {
    if (!found.isFile()) return 'is not a regular file';
    return (found.mode & constants.S_IWOTH) === 0 ? undefined : 'is world writable';
  };
  const result = readList(path, bytesMax, stats, check);
  if (result.kind !== 'ignored') return result;
  return { ...result, text: `:include: ${result.text}` };
}

/** @returns `undefined` when all is well: go on */
export function checkDirectory({ kind, path }: DirectoryCheck): ListResult | undefined {
  try {
    statSync(path);
    return undefined;
  } catch (error) {
    const why = errorText(error);
    const text = kind === 'home' ? `cannot access home directory ${path}: ${why}` : why;
    return { kind: 'failed', status: '4.3.0', text };
  }
}

/** What is checked is the file that was opened; its name may lead elsewhere by now. */
function readList(
  path: string,
  bytesMax: number,
  named: Stats,
  trouble: (stats: Stats) => string | undefined,
): ListResult {
  const ignored = (why: string): ListResult => ({
    kind: 'ignored',
    path,
    text: `file ${path} ${why}`,
  });
  const before = trouble(named);
  if (before !== undefined) return ignored(before);
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    return { kind: 'ignored', path, text: `cannot open file ${path}: ${errorText(error)}` };
  }
  try {
    const stats = fstatSync(fd);
    const why = trouble(stats);
    if (why !== undefined) return ignored(why);
    if (stats.size > bytesMax) return ignored(`is larger than ${bytesMax} bytes`);
    return { kind: 'list', path, text: readText(fd, stats.size), uid: stats.uid };
  } catch (error) {
    return { kind: 'failed', status: '4.3.0', text: `read file ${path}: ${errorText(error)}` };
  } finally {
    closeSync(fd);
  }
}

function readText(fd: number, size: number): string {
  const bytes = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const count = readSync(fd, bytes, filled, size - filled, filled);
    if (count === 0) break;
    filled += count;
  }
  return bytes.toString('utf8', 0, filled);
}
