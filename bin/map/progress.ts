/** One line on the terminal that grows, for tables that take more than a moment. */
import { writeSync } from 'node:fs';
import { monotonic } from '../../lib/clock/clock.ts';

const STDERR = 2;
const FIRST_MS = 500;
const EACH_MS = 200;

export interface Progress {
  readonly options: { readonly progress: (lines: number) => void };
  /** Takes the line away. */
  end(): void;
}

/** @returns `undefined` when nobody looks: stderr is no terminal */
export function openProgress(what: string): Progress | undefined {
  if (process.stderr.isTTY !== true) return undefined;
  let due = monotonic() + FIRST_MS;
  let shown = '';
  return {
    options: {
      progress(lines) {
        if (monotonic() < due) return;
        due = monotonic() + EACH_MS;
        shown = `${what}: ${lines} lines`;
        // At once: building does not let the event loop turn.
        writeSync(STDERR, `\r${shown}`);
      },
    },
    end() {
      if (shown !== '') writeSync(STDERR, `\r${' '.repeat(shown.length)}\r`);
    },
  };
}
