import { readSync, writeSync } from 'node:fs';

/** The ends of the pipe that every child of master inherits. ipc.md 1.10. */
const READ_FD = 3;
const WRITE_FD = 4;

/** Tokens by which qmgr slows cleanup down when mail comes in faster than it goes out. */
export interface FlowControl {
  /** Takes a token; false when none is there, and then the caller waits `in_flow_delay`. */
  takeToken(): boolean;
  /** Adds tokens; what the pipe does not hold is dropped. */
  putTokens(count: number): void;
  /** Takes up to `count` tokens away. @returns how many there were */
  drainTokens(count: number): number;
}

/** The pipe inherited from master, which is non-blocking at both ends. */
export const inheritedFlowControl: FlowControl = {
  takeToken: () => read(1) !== 0,
  putTokens(count) {
    try {
      if (count > 0) writeSync(WRITE_FD, Buffer.alloc(count));
    } catch (error) {
      if (!isMissing(error) && !isBusy(error)) throw error;
    }
  },
  drainTokens: read,
};

/** Without master nobody needs slowing down. */
export const noFlowControl: FlowControl = {
  takeToken: () => true,
  putTokens: () => {},
  drainTokens: () => 0,
};

function read(count: number): number {
  try {
    return readSync(READ_FD, Buffer.alloc(count));
  } catch (error) {
    if (isBusy(error)) return 0;
    if (isMissing(error)) return count;
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EAGAIN';
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EBADF' || code === 'EPIPE';
}
