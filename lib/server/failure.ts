import { AssertionError } from 'node:assert';
import { IpcError } from '../ipc/error.ts';
import { FatalError } from '../log/fatal.ts';
import type { Log } from '../log/log.ts';

/** Planned ends are 0; master tells only zero and non-zero apart. */
const EXIT_FAILURE = 1;

/** The process can't go on: says so in the log, and ends. */
export function die(log: Log, error: unknown): never {
  if (isOurFault(error)) dieOfBug(log, error);
  log.fatal((error as Error).message);
  log.flush();
  process.exit(EXIT_FAILURE);
}

/** An invariant is broken: nothing that we might still do can be trusted. Mail is in the queue. */
export function dieOfBug(log: Log, error: unknown): never {
  log.panic(describe(error));
  log.flush();
  process.exit(EXIT_FAILURE);
}

/** Whether the error is a mistake in the program, so that its stack is news. */
export function isOurFault(error: unknown): boolean {
  return (
    !(error instanceof Error) ||
    error instanceof AssertionError ||
    error instanceof TypeError ||
    error instanceof ReferenceError ||
    error instanceof RangeError
  );
}

/** The error with its stack and causes, on one line. */
export function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at !== undefined && parts.length < CAUSES_MAX; ) {
    parts.push(at instanceof Error ? (at.stack ?? at.message) : String(at));
    at = at instanceof Error ? at.cause : undefined;
  }
  return parts.join('; cause: ').replace(/\s*\n\s*/g, ' | ');
}

const CAUSES_MAX = 5;

/**
 * One client could not be served: the others are. Only trouble with our surroundings ends the
 * process, because a new one may find them mended.
 */
export function reportFailure(log: Log, error: unknown): void {
  if (error instanceof FatalError) die(log, error);
  if (error instanceof IpcError) log.warn(error.message);
  else log.error(isOurFault(error) ? describe(error) : (error as Error).message);
}
