/** A queue file that is damaged, or no queue file: names the file and the place in it. */
export class QueueFileError extends Error {
  override readonly name = 'QueueFileError';
  readonly path: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** What is wrong, without file and place. */
  readonly what: string;

  constructor(path: string, offset: number, what: string, cause?: unknown) {
    super(`${path}: ${what} at offset ${offset}`, cause === undefined ? undefined : { cause });
    this.path = path;
    this.offset = offset;
    this.what = what;
  }
}

/** A queue file that another process holds: it is being delivered, or taken into the active queue. */
export class QueueFileBusyError extends Error {
  override readonly name = 'QueueFileBusyError';
  readonly path: string;

  constructor(path: string) {
    super(`${path}: locked by another process`);
    this.path = path;
  }
}
