/**
 * Many descriptors watched at the price of one: epoll(7), which Node's event loop watches in turn. A
 * connection that is served like this costs a third of one in Node's own sockets.
 */
import { checked } from './error.ts';
import { declare, type PollHandle, watch } from './native.ts';

const epollCreate = declare('int epoll_create1(int flags)');
const epollControl = declare('int epoll_ctl(int epoll, int operation, int fd, void *event)');
const epollWait = declare('int epoll_wait(int epoll, void *events, int max, int timeout)');

const EPOLL_CLOEXEC = 0o2000000;
const CONTROL = { add: 1, remove: 2, change: 3 } as const;
/** struct epoll_event is packed on x64 only. */
const EVENT = process.arch === 'x64' ? { bytes: 12, data: 4 } : { bytes: 16, data: 8 };
/** Those who come together are served together; then it is the turn of whoever else waits. */
const EVENTS_MAX = 64;

/** What to wait for. Trouble with a descriptor is told in any case. */
export const READABLE = 0x001;
export const WRITABLE = 0x004;

/** Told what a descriptor is ready for. It may be told too often, never too seldom. */
export type OnReady = (events: number) => void;

/** Watches descriptors until they are removed, or closed and forgotten. */
export class Epoll {
  readonly #fd = checked(epollCreate(EPOLL_CLOEXEC), 'epoll_create1', 'descriptors');
  readonly #watched = new Map<number, OnReady>();
  readonly #events = Buffer.alloc(EVENTS_MAX * EVENT.bytes);
  readonly #event = Buffer.alloc(EVENT.bytes);
  /** Kept: without a reference to it nothing would be heard any more. */
  readonly #handle: PollHandle = watch(this.#fd, () => this.#dispatch());

  constructor() {
    this.#handle.unref();
  }

  add(fd: number, events: number, onReady: OnReady): void {
    this.#control(CONTROL.add, fd, events);
    // Only those who are connected keep a process.
    if (this.#watched.size === 0) this.#handle.ref();
    this.#watched.set(fd, onReady);
  }

  change(fd: number, events: number): void {
    this.#control(CONTROL.change, fd, events);
  }

  remove(fd: number): void {
    this.#control(CONTROL.remove, fd, 0);
    this.forget(fd);
  }

  /** For a descriptor that is about to be closed: the kernel removes it then. */
  forget(fd: number): void {
    this.#watched.delete(fd);
    if (this.#watched.size === 0) this.#handle.unref();
  }

  #control(operation: number, fd: number, events: number): void {
    this.#event.writeUInt32LE(events, 0);
    this.#event.writeInt32LE(fd, EVENT.data);
    checked(epollControl(this.#fd, operation, fd, this.#event), 'epoll_ctl', fd);
  }

  #dispatch(): void {
    const count = epollWait(this.#fd, this.#events, EVENTS_MAX, 0);
    for (let at = 0; at < count; at += 1) {
      const offset = at * EVENT.bytes;
      const onReady = this.#watched.get(this.#events.readInt32LE(offset + EVENT.data));
      try {
        onReady?.(this.#events.readUInt32LE(offset));
      } catch (error) {
        // The others have done nothing wrong.
        setImmediate(() => {
          throw error;
        });
      }
    }
  }
}

let everyone: Epoll | undefined;

/** The process's own. */
export function epoll(): Epoll {
  everyone ??= new Epoll();
  return everyone;
}
