/**
 * Notices that files have changed which only root may read, after root's rights are gone: they are
 * watched from before. Of a symbolic link the directory is watched, too, since what it leads to may
 * stay as it is; other directories may be too busy for that.
 */
import { type FSWatcher, lstatSync, readlinkSync, watch } from 'node:fs';
import { basename, dirname, isAbsolute } from 'node:path';

/** Files by name; `changed` tells, from then on, whether one of them is not what it was. */
export class FileWatch {
  /** As the log names it. */
  readonly name: string;
  readonly #watchers: FSWatcher[] = [];
  #hasChanged = false;

  constructor(name: string, paths: readonly string[]) {
    this.name = name;
    for (const path of paths) {
      const kind = kindOf(path);
      if (kind !== 'missing') this.#watch(path);
      if (kind !== 'file') this.#watch(dirname(path), namesOf(path));
    }
  }

  changed(): boolean {
    return this.#hasChanged;
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  /** @param names of a directory, what counts in it */
  #watch(path: string, names?: readonly string[]): void {
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => {
        if (names === undefined || (name !== null && names.includes(name))) this.#hasChanged = true;
      });
      // A directory that goes away takes its files along.
      watcher.on('error', () => {});
      this.#watchers.push(watcher);
    } catch {
      // It is not there, or there are too many watchers: a new process will read what is new.
    }
  }
}

function kindOf(path: string): 'file' | 'link' | 'missing' {
  try {
    return lstatSync(path).isSymbolicLink() ? 'link' : 'file';
  } catch {
    return 'missing';
  }
}

/** The link itself, and another one beside it that it leads through: `..data/tls.crt`. */
function namesOf(path: string): string[] {
  try {
    const target = readlinkSync(path);
    const first = target.split('/').find((part) => part !== '.') ?? '';
    return isAbsolute(target) ? [basename(path)] : [basename(path), first];
  } catch {
    return [basename(path)];
  }
}
