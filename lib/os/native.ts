/**
 * The door to libc: the only file that knows koffi.
 *
 * Nothing is loaded before the first call (koffi costs 13 ms of a start). Structures are plain
 * buffers laid out by hand, so that two bundles in one process never declare the same type twice;
 * the layouts hold for 64-bit little-endian Linux, which is checked before the first call.
 */
import { createRequire } from 'node:module';
import { constants } from 'node:os';

type Koffi = typeof import('koffi');

/** What goes in and out of a C function here: numbers, text, memory. */
export type Argument = number | bigint | string | Buffer | null;

/** Says whether a descriptor is readable, from Node's own event loop. */
export interface PollHandle {
  close(): void;
  /** Whether it keeps the process alive; it does at first. */
  ref(): void;
  unref(): void;
}

type KoffiFunction = ReturnType<ReturnType<Koffi['load']>['func']>;

let loaded: { koffi: Koffi; libc: ReturnType<Koffi['load']> } | undefined;

function native() {
  loaded ??= load();
  return loaded;
}

function load() {
  if (process.platform !== 'linux' || !(process.arch === 'x64' || process.arch === 'arm64')) {
    throw new Error(
      `Posthaste runs on Linux on x64 or arm64; this is ${process.platform} on ${process.arch}`,
    );
  }
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  return { koffi, libc: koffi.load(null) };
}

/**
 * Declares a C function by its prototype; libc is asked for it at the first call. A variadic
 * function (fcntl, syscall) may be declared with the arguments it gets: on both machines of ours
 * they travel the same way.
 */
export function declare<Result = number>(
  prototype: string,
): (...args: readonly Argument[]) => Result {
  let called: ((...args: readonly Argument[]) => Result) | undefined;
  return (...args) => {
    called ??= native().libc.func(prototype) as (...args: readonly Argument[]) => Result;
    return called(...args);
  };
}

/**
 * Declares a C function that takes its time: it runs on a thread of Node's pool, and has all of its
 * arguments referenced until it is done.
 */
export function declareSlow<Result = number>(
  prototype: string,
): (...args: readonly Argument[]) => Promise<Result> {
  let declared: KoffiFunction | undefined;
  return (...args) => {
    declared ??= native().libc.func(prototype);
    const { async: start } = declared;
    return new Promise((resolve, reject) => {
      start(...args, (error: Error | null, result: Result) => {
        if (error === null) resolve(result);
        else reject(error);
      });
    });
  };
}

/**
 * Makes a function of ours one that C can call, for as long as the process lives. It runs on the
 * main thread, whichever thread the call comes from: that one waits.
 *
 * @param result `int`, and the types of what it is called with
 */
export function declareCallback(
  result: string,
  types: readonly string[],
  action: (...args: readonly (number | bigint | null)[]) => number,
): bigint {
  const { koffi } = native();
  return koffi.register(action, koffi.pointer(koffi.proto(null, result, [...types])));
}

/** The error number of the call just made. */
export function lastError(): number {
  return native().koffi.errno();
}

/** Where a buffer lies in memory, for a structure that points to it. Keep the buffer referenced. */
export function addressOf(buffer: Buffer): bigint {
  return native().koffi.address(buffer);
}

/** The C string that the pointer at `offset` of a structure points to. */
export function textAt(structure: Buffer, offset: number): string {
  return structure.readBigUInt64LE(offset) === 0n
    ? ''
    : String(native().koffi.decode(structure, offset, 'char *'));
}

/** Calls `ready` whenever `fd` is readable, or in trouble, until closed. */
export function watch(fd: number, ready: () => void): PollHandle {
  return native().koffi.node.poll(fd, { readable: true }, ready);
}

const strerror = declare<string>('const char *strerror(int number)');

/** `Permission denied`: libc's text for an error number. */
export function textOf(errno: number): string {
  return strerror(errno);
}

/** Second names for the same numbers. */
const ALIASES: ReadonlySet<string> = new Set(['EWOULDBLOCK', 'EDEADLOCK', 'EOPNOTSUPP']);

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => !ALIASES.has(name))
    .map(([name, number]) => [number, name]),
);

/** `EACCES`, for an error number. */
export function nameOf(errno: number): string {
  return names.get(errno) ?? `E${errno}`;
}
