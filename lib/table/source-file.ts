/** Reads a table's text, and notices when it is no longer the same. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { errorText } from '../os/error.ts';
import { TableOpenError } from './definition.ts';
import { SOURCE_BYTES_MAX } from './source-lines.ts';

/** An open file; the descriptor outlives a change of root directory, and the file's removal. */
export class WatchedFile {
  readonly path: string;
  readonly fd: number;
  readonly #modified: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.fd = fd;
    this.#modified = fstatSync(fd).mtimeMs;
  }

  /** Written to, replaced or removed since it was opened. */
  changed(): boolean {
    const status = fstatSync(this.fd);
    return status.nlink === 0 || status.mtimeMs !== this.#modified;
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Linux: the descriptor names the file and gives no access to it; open(2). */
const O_PATH = 0o10000000;

/**
 * For a file that SQLite reads: when a process closes a descriptor that could read a file, it loses all
 * locks that it has on that file by others; fcntl(2). This one can't.
 *
 * @throws {TableOpenError}
 */
export function watchOnly(path: string, what: string): WatchedFile {
  return open(path, what, O_PATH);
}

/**
 * Opens a table's file for reading. A FIFO or a device would stop a daemon for ever: only regular
 * files are tables.
 *
 * @param what `open` or `open database`, for the message
 * @throws {TableOpenError}
 */
export function openWatched(path: string, what: string): WatchedFile {
  return open(path, what, constants.O_RDONLY | constants.O_NONBLOCK);
}

function open(path: string, what: string, flags: number): WatchedFile {
  let fd: number;
  try {
    fd = openSync(path, flags);
  } catch (error) {
    throw new TableOpenError(`${what} ${path}: ${errorText(error)}`, { cause: error });
  }
  const status = fstatSync(fd);
  if (status.isFile()) return new WatchedFile(path, fd);
  closeSync(fd);
  throw new TableOpenError(
    status.isDirectory()
      ? `read ${path}: Is a directory`
      : `${what} ${path}: not a regular file; a lookup table must be one`,
  );
}

/** Reads all of it. @throws {TableOpenError} */
export function readSource(file: WatchedFile, bytesMax: number = SOURCE_BYTES_MAX): Buffer {
  const { size } = fstatSync(file.fd);
  if (size > bytesMax) {
    throw new TableOpenError(
      `${file.path}: ${size} bytes, more than the ${bytesMax} a table's source may have`,
    );
  }
  const bytes = Buffer.alloc(size);
  let length = 0;
  while (length < size) {
    const count = readSync(file.fd, bytes, length, size - length, length);
    if (count === 0) break;
    length += count;
  }
  return bytes.subarray(0, length);
}
