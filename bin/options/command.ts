/** What every program that people type has in common: its name, its exit status, its last words. */
import { UsageError } from './options.ts';

export interface Command {
  /** How it calls itself in messages. */
  readonly name: string;
  /** Exit status of every fatal error; 1 when left out. */
  readonly failure?: number;
  /** Does the work; the result is the exit status. */
  run(argv: readonly string[]): number | Promise<number>;
  /** Writes the text of a fatal error to the mail log, too. It must not fail. */
  log?(text: string): Promise<void>;
}

/** Runs a command with this process's arguments. Any error is fatal: `name: fatal: text`. */
export async function runCommand(command: Command): Promise<void> {
  // The reader of a pipe may leave: `postconf | head`.
  process.stdout.on('error', () => process.exit(0));
  try {
    process.exitCode = await command.run(process.argv.slice(2));
  } catch (error) {
    if (error instanceof UsageError && error.hint !== undefined) say(command.name, error.hint);
    const text = error instanceof Error ? error.message : String(error);
    say(command.name, `fatal: ${text}`);
    process.exitCode = command.failure ?? 1;
    await command.log?.(text);
  }
}

/** One line on stderr. */
export function say(name: string, text: string): void {
  process.stderr.write(`${name}: ${text}\n`);
}
