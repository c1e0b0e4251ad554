/** Failures of the operating system: what was called, on what, and why it failed. */
import { lastError, nameOf, textOf } from './native.ts';

/** A system call that failed. Its message reads `bind 127.0.0.1 port 25: Address already in use`. */
export class OsError extends Error {
  override readonly name = 'OsError';
  /** The name of the error number: `EACCES`. */
  readonly code: string;
  readonly errno: number;
  /** The function that failed: `bind`. */
  readonly syscall: string;
  /** What it was tried on: a path, an address, a descriptor. */
  readonly on: string;

  constructor(call: string, on: string | number, errno: number = lastError()) {
    const where = typeof on === 'number' ? `descriptor ${on}` : on;
    super(`${call} ${where}: ${textOf(errno)}`);
    this.code = nameOf(errno);
    this.errno = errno;
    this.syscall = call;
    this.on = where;
  }

  /** The function that failed. */
  get call(): string {
    return this.syscall;
  }
}

/** Whether the system refused something: an error, ours or Node's, with an error number. */
export function isSystemError(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).syscall !== undefined;
}

/** Whether an error, ours or Node's, is one of these: `isErrno(error, 'ENOENT')`. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes(String((error as NodeJS.ErrnoException).code));
}

/**
 * Why the system refused, in libc's words (`No such file or directory`), for an error of ours or of
 * Node; the message of anything else. Node's own messages are worded differently from the log lines
 * administrators search for.
 */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errno } = error as NodeJS.ErrnoException;
  return typeof errno === 'number' && errno !== 0 ? textOf(Math.abs(errno)) : error.message;
}

/** The result of a call that reports failure as -1. */
export function checked(result: number, call: string, on: string | number): number {
  if (result < 0) throw new OsError(call, on);
  return result;
}

/** Errors that are made meanwhile do not know where: to find that out and to print it costs 50 us. */
export function withoutStackTraces(action: () => unknown): void {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    action();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
