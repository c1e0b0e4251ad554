/** Runs a command that takes a message on its standard input. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { after } from '../clock/clock.ts';
import { errorText, isErrno } from '../os/error.ts';
import { pipe } from '../os/sockets.ts';
import type { CommandEnd } from './command-status.ts';

export interface CommandRun {
  /** The program and its arguments; see `commandLine`. */
  readonly words: readonly string[];
  /** When the program is not there: run these instead (a shell knows commands of its own). */
  readonly otherwise?: readonly string[];
  /** Always both. The command has no other groups. */
  readonly uid: number;
  readonly gid: number;
  /** All of its environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly timeLimitMs: number;
  /** What it reads. */
  readonly input: AsyncIterable<Buffer>;
}

export interface CommandResult {
  readonly end: CommandEnd;
  /** The beginning of what it wrote to standard output and error, on one line. */
  readonly output: string;
  /** Reading the message failed: whatever the command did, the mail is to be deferred. */
  readonly inputError?: unknown;
}

/** More of a command's output does not fit into a log line or a bounce anyway. */
const OUTPUT_BYTES_MAX = 4096;
/** After the kill everything that the command started is gone too. */
const EX_TEMPFAIL = 75;

/**
 * Runs it, in a process group of its own that does not outlive the time limit. Does not throw: that
 * a program can't be started is an end too, as if a shell had told about it.
 */
export async function runCommand(run: CommandRun): Promise<CommandResult> {
  try {
    return await start(run, run.words);
  } catch (error) {
    const fallback = isErrno(error, 'ENOENT') ? run.otherwise : undefined;
    if (fallback === undefined) return notStarted(run, error);
    try {
      return await start(run, fallback);
    } catch (second) {
      return notStarted(run, second);
    }
  }
}

function notStarted({ words }: CommandRun, error: unknown): CommandResult {
  const output = `local: fatal: execvp ${words[0]}: ${errorText(error)} `;
  return { end: { kind: 'exit', status: EX_TEMPFAIL }, output };
}

/** @throws when the program could not be started */
async function start(run: CommandRun, words: readonly string[]): Promise<CommandResult> {
  // Pipes and not sockets, which Node would make: a script could not open /dev/stdin.
  const input = pipe('write');
  const output = pipe('read');
  const [program = '', ...args] = words;
  let child: ChildProcess;
  try {
    child = spawn(program, args, {
      uid: run.uid,
      gid: run.gid,
      env: { ...run.environment },
      // As execl("/bin/sh", "sh", ...): its messages begin with this name.
      argv0: program === SHELL ? 'sh' : program,
      cwd: run.directory,
      detached: true,
      stdio: [input.read, output.write, output.write],
    });
  } catch (error) {
    closeSync(input.write);
    closeSync(output.read);
    throw error;
  } finally {
    closeSync(input.read);
    closeSync(output.write);
  }
  const writer = new Socket({ fd: input.write, readable: false, writable: true });
  const reader = new Socket({ fd: output.read, readable: true, writable: false });
  // An error of one of them ends the other side's wait; both are looked at below.
  writer.on('error', () => {});
  reader.on('error', () => {});
  try {
    return await converse(run, child, writer, reader);
  } finally {
    writer.destroy();
    reader.destroy();
  }
}

async function converse(
  run: CommandRun,
  child: ChildProcess,
  writer: Socket,
  reader: Socket,
): Promise<CommandResult> {
  const ended = endOf(child);
  // It fails before the end is asked for; that must not be an unhandled rejection.
  ended.catch(() => {});
  let timedOut = false;
  const timer = after(run.timeLimitMs, () => {
    timedOut = true;
    killGroup(child);
    // Something that left the group may hold the pipe open.
    reader.destroy();
    writer.destroy();
  });
  try {
    const [inputError, output] = await Promise.all([feed(run.input, writer), collect(reader)]);
    const end = await ended;
    return {
      end: timedOut ? { kind: 'timeout' } : end,
      output: timedOut ? '' : output,
      ...(inputError === undefined ? {} : { inputError }),
    };
  } finally {
    timer.stop();
    // What stays behind in the background has no more business with this mail.
    if (timedOut) killGroup(child);
  }
}

function endOf(child: ChildProcess): Promise<CommandEnd> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status, signal) => {
      if (signal === null) resolve({ kind: 'exit', status: status ?? 0 });
      else resolve({ kind: 'signal', signal: constants.signals[signal] });
    });
  });
}

/** A command may stop reading when it has seen enough. @returns trouble with the message itself */
async function feed(input: AsyncIterable<Buffer>, writer: Socket): Promise<unknown> {
  try {
    for await (const chunk of input) {
      if (writer.destroyed) break;
      if (!writer.write(chunk)) await drained(writer);
    }
    return undefined;
  } catch (error) {
    return error;
  } finally {
    writer.end();
  }
}

/** Until there is room, or nobody reads any more. */
function drained(writer: Socket): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      writer.off('drain', go);
      writer.off('close', go);
      resolve();
    };
    writer.on('drain', go);
    writer.on('close', go);
  });
}

async function collect(reader: Socket): Promise<string> {
  const kept: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of reader as AsyncIterable<Buffer>) {
      if (bytes < OUTPUT_BYTES_MAX) kept.push(chunk);
      bytes += chunk.length;
    }
  } catch {
    // The time limit.
  }
  const text = Buffer.concat(kept).toString('utf8', 0, Math.min(bytes, OUTPUT_BYTES_MAX));
  return text.replace(/[\r\n\t]/g, ' ');
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}

const SHELL = '/bin/sh';

/** Characters that no shell treats specially. */
const PLAIN = /^[1234567890!@%\-_=+:,./ a-zA-Z\t]*$/;

/** How to start a command line that an administrator or a user wrote. Pure. */
export interface CommandLine {
  readonly words: readonly string[];
  readonly otherwise?: readonly string[];
}

/**
 * Decides whether a command needs a shell: only when it has characters that a shell would treat
 * specially, or names a command that only the shell knows.
 *
 * @param shell local_command_shell: takes every command as its last argument; '' when there is none
 */
export function commandLine(command: string, shell: string): CommandLine {
  if (shell !== '') return { words: [...shell.trim().split(/\s+/), command] };
  const viaShell = [SHELL, '-c', command];
  if (!PLAIN.test(command)) return { words: viaShell };
  const words = command.trim().split(/[ \t]+/);
  if (words[0] === '') return { words: viaShell };
  return words[0]?.includes('/') ? { words } : { words, otherwise: viaShell };
}
