import type { CommandCount } from '../../lib/log/event.ts';

/** The order of the line that ends a session. logs.md 2.2.1. */
const ORDER = [
  'helo',
  'ehlo',
  'xclient',
  'xforward',
  'starttls',
  'auth',
  'mail',
  'rcpt',
  'data',
  'bdat',
  'rset',
  'noop',
  'vrfy',
  'etrn',
  'quit',
  'unknown',
] as const;

export type CountedCommand = (typeof ORDER)[number];

/** How often a client used each command, and how often that went well. */
export class CommandCounts {
  readonly #counts = new Map<string, { ok: number; total: number }>();

  /** A command has come. */
  start(command: CountedCommand): void {
    const count = this.#counts.get(command);
    if (count === undefined) this.#counts.set(command, { ok: 0, total: 1 });
    else count.total += 1;
  }

  /** It went well. */
  succeed(command: CountedCommand): void {
    const count = this.#counts.get(command);
    if (count !== undefined) count.ok += 1;
  }

  /** Those that were used, in the order of the log line. */
  list(): CommandCount[] {
    const used: CommandCount[] = [];
    for (const command of ORDER) {
      const count = this.#counts.get(command);
      if (count !== undefined) used.push({ command, ok: count.ok, total: count.total });
    }
    return used;
  }
}
