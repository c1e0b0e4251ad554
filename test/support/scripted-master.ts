/**
 * A master as a test wants it: makes the sockets, hands them down to one daemon, and reads what the
 * daemon reports. Real descriptors, real processes; ipc.md 1.4 and 1.5.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, writeFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import {
  bindInet,
  bindUnix,
  bindUnixDatagram,
  makeFifo,
  pipe,
  socketPair,
} from '../../lib/os/sockets.ts';
import { atEnd } from './cleanup.ts';
import { eventually } from './condition.ts';
import { freshDirectory } from './directories.ts';
import { readLog } from './log-file.ts';
import { writeSettled } from './settled-file.ts';

const BACKLOG = 100;
const FOLDERS = [
  ['', 'private', 'public', 'pid', 'active', 'deferred', 'incoming', 'hold', 'maildrop'],
  ['bounce', 'defer', 'trace', 'flush'],
].flat();
const MESSAGE_BYTES = 12;

export interface DaemonSetting {
  /** A program of ours, from the build directory: `test/support/daemons/echo.cjs`; or any, by its path. */
  readonly program: string;
  /** `private/echo`; for inet a port. */
  readonly listen: string | number | readonly (string | number)[];
  /** `unix` unless given. */
  readonly type?: 'unix' | 'inet' | 'fifo' | 'pass' | 'unix-dgram';
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** POSTHASTE_SLOTS; Postfix's master says nothing. */
  readonly slots?: number;
}

/** A daemon under test. */
export interface RunningDaemon {
  readonly pid: number;
  /** The values of its status messages so far. */
  readonly reports: readonly number[];
  /** What it wrote on stderr. */
  readonly errors: () => string;
  /** How it ended, once it has. */
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  /** What master does at a reload: nobody listens to the daemon any more. */
  disconnect(): void;
  kill(signal: NodeJS.Signals): void;
  /** Puts tokens into the flow-control pipe. */
  putTokens(count: number): void;
}

export interface ScriptedMaster {
  readonly directory: string;
  readonly queue: string;
  /** A path below the queue directory. */
  path(name: string): string;
  start(setting: DaemonSetting): RunningDaemon;
  log(): string;
  waitForLog(pattern: RegExp): Promise<string>;
}

/** A queue directory and a main.cf in a fresh place. */
export function scriptedMaster(
  t: TestContext,
  main: Readonly<Record<string, string>> = {},
): ScriptedMaster {
  const directory = freshDirectory(t);
  const queue = join(directory, 'queue');
  for (const name of FOLDERS) {
    mkdirSync(join(queue, name), { recursive: true });
    chmodSync(join(queue, name), 0o777);
  }
  const settings = {
    queue_directory: queue,
    myhostname: 'mail.example.com',
    maillog_file: join(directory, 'log'),
    maillog_file_prefixes: '/',
    ...main,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
  writeSettled(join(directory, 'main.cf'), lines.join(''));
  writeFileSync(join(directory, 'log'), '');
  chmodSync(join(directory, 'log'), 0o666);
  const log = () => readLog(join(directory, 'log'));
  return {
    directory,
    queue,
    path: (name) => join(queue, name),
    start: (setting) => startDaemon(t, directory, queue, setting),
    log,
    waitForLog: (pattern) => eventually(`${pattern} in the log`, () => pattern.exec(log())?.[0]),
  };
}

/** Starts one daemon by itself: `directory` has main.cf. It ends with the test. */
export function startDaemon(
  t: TestContext,
  directory: string,
  queue: string,
  setting: DaemonSetting,
): RunningDaemon {
  const { type = 'unix', args = [], slots } = setting;
  const listeners = [setting.listen].flat().map((where) => openListener(queue, type, where));
  const flow = pipe();
  const [ours, theirs] = socketPair();
  const several = listeners.length > 1 ? ['-s', String(listeners.length)] : [];
  const [command, ...first] = setting.program.startsWith('/')
    ? [setting.program]
    : [process.execPath, resolve('build', setting.program)];
  const child = spawn(command, [...first, '-t', type, ...several, ...args], {
    cwd: queue,
    env: {
      MAIL_CONFIG: directory,
      MAIL_LOGTAG: 'postfix',
      LANG: 'C',
      GENERATION: '17',
      ...(slots === undefined ? {} : { POSTHASTE_SLOTS: String(slots) }),
      ...setting.environment,
    },
    stdio: ['ignore', 'ignore', 'pipe', flow.read, flow.write, theirs, ...listeners],
  });
  for (const fd of [flow.read, theirs, ...listeners]) closeSync(fd);
  const status = new Socket({ fd: ours, readable: true, writable: false });
  const errors: Buffer[] = [];
  child.stderr?.on('data', (bytes: Buffer) => errors.push(bytes));
  const ended = endOf(child);
  atEnd(t, async () => {
    status.destroy();
    closeSync(flow.write);
    child.kill('SIGKILL');
    await ended;
  });
  return {
    pid: child.pid ?? 0,
    reports: readReports(status, child.pid ?? 0),
    errors: () => Buffer.concat(errors).toString(),
    ended,
    disconnect: () => status.destroy(),
    kill: (signal) => child.kill(signal),
    putTokens: (count) => writeSync(flow.write, Buffer.alloc(count)),
  };
}

function openListener(queue: string, type: string, where: string | number): number {
  if (typeof where === 'number') return bindInet('127.0.0.1', where, BACKLOG);
  const path = join(queue, where);
  mkdirSync(dirname(path), { recursive: true });
  if (type === 'fifo') return makeFifo(path, 0o666);
  if (type === 'unix-dgram') return bindUnixDatagram(path, 0o666);
  return bindUnix(path, 0o666, BACKLOG);
}

/** Checks each message's process and generation (octal 17), and collects the values. */
function readReports(status: Socket, pid: number): number[] {
  const reports: number[] = [];
  let bytes = Buffer.alloc(0);
  status.on('error', () => {});
  status.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (; bytes.length >= MESSAGE_BYTES; bytes = bytes.subarray(MESSAGE_BYTES)) {
      const valid = bytes.readInt32LE(0) === pid && bytes.readInt32LE(4) === 0o17;
      reports.push(valid ? bytes.readInt32LE(8) : Number.NaN);
    }
  });
  return reports;
}

function endOf(child: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  return new Promise((done) => {
    child.once('exit', (code, signal) => done({ code, signal }));
  });
}
