import { type Dir, opendirSync } from 'node:fs';
import { isErrno } from '../../lib/os/error.ts';

/** Something in a queue's folder, at any depth. */
export interface Found {
  readonly path: string;
  readonly name: string;
  /** 0 in the queue's own folder. */
  readonly depth: number;
  readonly isFolder: boolean;
}

const LEVELS_MAX = 16;

/**
 * All that is below a queue's folder, one at a time; a folder comes after what is in it. What is
 * moved meanwhile may come twice.
 */
export function* walk(folder: string, depth = 0): Generator<Found, void, undefined> {
  const dir = open(folder);
  if (dir === undefined) return;
  try {
    for (let entry = dir.readSync(); entry !== null; entry = dir.readSync()) {
      const { name } = entry;
      const path = `${folder}/${name}`;
      const isFolder = entry.isDirectory();
      if (isFolder && depth < LEVELS_MAX) yield* walk(path, depth + 1);
      yield { path, name, depth, isFolder };
    }
  } finally {
    dir.closeSync();
  }
}

function open(folder: string): Dir | undefined {
  try {
    return opendirSync(folder, { bufferSize: 128 });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
