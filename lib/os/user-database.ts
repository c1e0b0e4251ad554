/**
 * Users and groups as seen from inside another root directory, where the name service would look
 * for /etc/passwd in vain: both files are opened before, and read when somebody asks.
 */
import { fstatSync, openSync, readSync } from 'node:fs';

/** What a daemon may look at; a larger file is no list of users. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;
const NUMBER_FIELD = 2;

/** One line of /etc/passwd or /etc/group, taken apart at its colons. */
export type Entry = readonly string[];

interface Held {
  readonly passwd: HeldFile;
  readonly group: HeldFile;
}

/** A process has one root directory, and so one of these. */
let held: Held | undefined;

/** To be called before the root directory changes. */
export function holdUserDatabase(): void {
  held = { passwd: new HeldFile('/etc/passwd'), group: new HeldFile('/etc/group') };
}

/** The file to look into, or undefined where the name service answers. */
export function heldFile(which: keyof Held): HeldFile | undefined {
  return held?.[which];
}

/** A file has been replaced since: only a new process sees the new one. */
export function userDatabaseChanged(): boolean {
  return held !== undefined && (held.passwd.isReplaced || held.group.isReplaced);
}

class HeldFile {
  readonly #fd: number | undefined;
  #modified = 0;
  #byName: ReadonlyMap<string, Entry> = new Map();
  #byNumber: ReadonlyMap<number, Entry> = new Map();

  constructor(path: string) {
    this.#fd = openIfThere(path);
  }

  get isReplaced(): boolean {
    return this.#fd !== undefined && fstatSync(this.#fd).nlink === 0;
  }

  find(who: string | number): Entry | undefined {
    this.#refresh();
    return typeof who === 'number' ? this.#byNumber.get(who) : this.#byName.get(who);
  }

  #refresh(): void {
    if (this.#fd === undefined) return;
    const { mtimeMs, size } = fstatSync(this.#fd);
    if (mtimeMs === this.#modified) return;
    this.#modified = mtimeMs;
    const entries = parseEntries(readText(this.#fd, size));
    // The first of two with the same name or number counts, as for libc.
    this.#byName = new Map(entries.toReversed().map((entry) => [entry[0] ?? '', entry]));
    this.#byNumber = new Map(
      entries.toReversed().map((entry) => [Number(entry[NUMBER_FIELD]), entry]),
    );
  }
}

/** Lines that name somebody; comments and NIS's `+` do not. */
export function parseEntries(text: string): Entry[] {
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter(
      (fields) => /^[^#+-]/.test(fields[0] ?? '') && /^\d+$/.test(fields[NUMBER_FIELD] ?? ''),
    );
}

function readText(fd: number, sizeBytes: number): string {
  if (sizeBytes > FILE_BYTES_MAX) throw new Error(`user database: ${sizeBytes} bytes are too many`);
  const bytes = Buffer.alloc(sizeBytes);
  const length = readSync(fd, bytes, 0, sizeBytes, 0);
  return bytes.toString('utf8', 0, length);
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}
