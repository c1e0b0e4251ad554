/**
 * maillog_file: every process appends to it directly. O_APPEND keeps the lines of many processes
 * apart; lines are collected for one turn of the event loop and written at once.
 */
import {
  closeSync,
  existsSync,
  fchmodSync,
  fstatSync,
  openSync,
  statSync,
  writeSync,
} from 'node:fs';
import { after, monotonic } from '../clock/clock.ts';
import { hasChangedRoot } from '../os/files.ts';

/** What Postfix creates; maillog_file_permissions may say otherwise. */
export const LOG_FILE_MODE = 0o600;

/** How often we look whether the file was renamed (`postfix logrotate`). */
const LOOK_AFTER_MS = 1000;

/** What may wait for a slow reader of /dev/stdout. Beyond that lines are lost, not memory. */
const WAITING_MAX = 1_000_000;
const RETRY_AFTER_MS = 10;

/** Gives a line to somebody who may open the file (postlogd). @returns false when nobody took it */
export type HandOver = (line: string) => boolean;

const NOTHING: Buffer = Buffer.alloc(0);

const nobody: HandOver = () => false;

export interface LogFileOptions {
  /** Takes our lines when the file was renamed and we may not open the new one. */
  readonly hand?: HandOver;
  /** Permissions of a file that we create. */
  readonly mode?: number;
  /** How often to look whether the file was renamed. */
  readonly lookAfterMs?: number;
}

/** A log file that is open for appending. */
export class LogFile {
  readonly #path: string;
  #fd: number;
  readonly #hand: HandOver;
  readonly #mode: number;
  readonly #lookAfterMs: number;
  #lines = '';
  /** What a full pipe did not take. */
  #unwritten: Buffer = NOTHING;
  #scheduled = false;
  #renamed = false;
  #lookedAt = monotonic();

  private constructor(path: string, fd: number, options: LogFileOptions) {
    this.#path = path;
    this.#fd = fd;
    this.#hand = options.hand ?? nobody;
    this.#mode = options.mode ?? LOG_FILE_MODE;
    this.#lookAfterMs = options.lookAfterMs ?? LOOK_AFTER_MS;
  }

  /** Opens or creates the file; `undefined` when this process may not. */
  static open(path: string, options: LogFileOptions = {}): LogFile | undefined {
    const fd = openForAppending(path, options.mode ?? LOG_FILE_MODE);
    return fd === undefined ? undefined : new LogFile(path, fd, options);
  }

  /** Takes one line, with its prefix and without its end. */
  append(line: string): void {
    if (this.#lines.length + this.#unwritten.length > WAITING_MAX) return;
    this.#lines += line + '\n';
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.flush());
  }

  /** Writes what has been collected. */
  flush(): void {
    this.#scheduled = false;
    if (this.#lines === '' && this.#unwritten.length === 0) return;
    if (monotonic() - this.#lookedAt >= this.#lookAfterMs) this.#follow();
    const lines = Buffer.from(this.#renamed ? this.#handOver() : this.#lines, 'utf8');
    this.#lines = '';
    this.#write(this.#unwritten.length === 0 ? lines : Buffer.concat([this.#unwritten, lines]));
  }

  /** Writes what has been collected, and looks at once whether the file was renamed. */
  reopen(): void {
    this.flush();
    this.#follow();
  }

  #write(bytes: Buffer): void {
    let written = 0;
    this.#unwritten = NOTHING;
    try {
      while (written < bytes.length) written += writeSync(this.#fd, bytes, written);
    } catch (error) {
      // A pipe that is full is worth another try; a full disk loses lines, but no mail.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      this.#unwritten = bytes.subarray(written);
      this.#scheduled = true;
      after(RETRY_AFTER_MS, () => this.flush()).unref();
    }
  }

  /**
   * Follows a rotation (`postfix logrotate`): when another file has our path, or none, opens that.
   * A process that may not, having given up its privileges, asks postlogd to write its lines.
   */
  #follow(): void {
    this.#lookedAt = monotonic();
    if (this.#path === STDOUT) return;
    this.#renamed = !this.#isCurrent();
    if (!this.#renamed) return;
    const fd = openForAppending(this.#path, this.#mode);
    if (fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = fd;
    this.#renamed = false;
  }

  /** @returns the lines that nobody took: they go to the file we have, under its new name */
  #handOver(): string {
    const left = this.#lines.split('\n').filter((line) => line !== '' && !this.#hand(line));
    return left.map((line) => line + '\n').join('');
  }

  #isCurrent(): boolean {
    // Inside another root directory the path says nothing; after a reload we are opened anew.
    if (hasChangedRoot()) return true;
    const there = statSync(this.#path, { throwIfNoEntry: false });
    const ours = fstatSync(this.#fd);
    return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
  }
}

const STDOUT = '/dev/stdout';

function openForAppending(path: string, mode: number): number | undefined {
  // By its number: opening the path again fails when it is a socket, or another user's pipe.
  if (path === STDOUT) return 1;
  try {
    const isNew = !existsSync(path);
    const fd = openSync(path, 'a', mode);
    // The umask of daemons would take away what the administrator wants to grant.
    if (isNew && mode !== LOG_FILE_MODE) fchmodSync(fd, mode);
    return fd;
  } catch {
    return undefined;
  }
}
