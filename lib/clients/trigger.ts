import { closeSync, constants, lstatSync, openSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, type Timer } from '../clock/clock.ts';
import { KEEP } from '../ipc/keep.ts';
import { connectTo } from '../net/connect.ts';

/** trigger_timeout: longest wait for somebody to answer. */
const CONNECT_MS = 10_000;
/** How long a connection is held open: its end is how a server knows that we are done. */
const HOLD_MS = 110_000;

/**
 * Wakes a service up: `trigger('public/pickup', 'W')`. ipc.md 1.9. It waits until the bytes are on
 * their way, for a short time at most, and keeps no process alive.
 *
 * @returns false when the service is not there
 */
export async function trigger(path: string, bytes: string): Promise<boolean> {
  try {
    if (lstatSync(path).isFIFO()) return writeToFifo(path, bytes);
    const socket = await openSocket(path);
    const hold = after(HOLD_MS, () => socket.destroy()).unref();
    socket.once('close', () => hold.stop());
    await new Promise<void>((resolve) => socket.write(`${bytes}\0`, () => resolve()));
    return !socket.errored;
  } catch {
    return false;
  }
}

async function openSocket(path: string): Promise<Socket> {
  const socket = await connectTo({ path }, { connectMs: CONNECT_MS });
  socket.on('error', () => {});
  // Whatever a server answers or not, we have said everything.
  socket.on('data', () => socket.destroy());
  socket.on('end', () => socket.destroy());
  socket.unref();
  return socket;
}

function writeToFifo(path: string, bytes: string): boolean {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    return writeSync(fd, bytes) > 0;
  } finally {
    closeSync(fd);
  }
}

/**
 * The same for a process that triggers one service again and again. It keeps the connection where
 * the server does (keep.ts), and triggers that nobody has taken yet are one.
 */
export class TriggerClient {
  readonly #path: string;
  #socket: Socket | undefined;
  #idle: Timer | undefined;
  /** Sent, and not yet acknowledged. */
  #outstanding = '';
  /** To be sent after that. */
  #next = '';
  #connecting = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Wakes the service up, now or right after it has taken the trigger before. */
  trigger(bytes: string): void {
    for (const byte of bytes) if (!this.#next.includes(byte)) this.#next += byte;
    if (this.#outstanding === '' && !this.#connecting) this.#send();
  }

  close(): void {
    this.#idle?.stop();
    this.#socket?.destroySoon();
    this.#socket = undefined;
  }

  #send(): void {
    if (this.#next === '') return;
    const socket = this.#socket;
    if (socket === undefined) {
      this.#connect();
      return;
    }
    this.#outstanding = this.#next;
    this.#next = '';
    this.#idle?.stop();
    socket.write(`${this.#outstanding}\0`);
  }

  #connect(): void {
    this.#connecting = true;
    connectTo({ path: this.#path }, { connectMs: CONNECT_MS })
      .then((socket) => this.#useSocket(socket))
      // Nobody there: the service looks for work itself when it starts.
      .catch(() => this.#forget())
      .finally(() => {
        this.#connecting = false;
        this.#send();
      });
  }

  #forget(): void {
    this.#next = '';
  }

  #useSocket(socket: Socket): void {
    let kept = false;
    let acknowledged = 0;
    socket.unref();
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      acknowledged += bytes.length;
      if (acknowledged < KEEP.length) return;
      acknowledged = 0;
      kept = true;
      this.#outstanding = '';
      if (this.#next !== '') this.#send();
      else this.#idle = after(IDLE_MS, () => this.close()).unref();
    });
    socket.on('end', () => socket.destroy());
    socket.once('close', () => this.#onClose(socket, kept));
  }

  /**
   * A real server closes after each trigger, which it has read. One that had kept the connection
   * has left, perhaps without reading: the next one is told.
   */
  #onClose(socket: Socket, kept: boolean): void {
    if (this.#socket === socket) this.#socket = undefined;
    const unread = kept ? this.#outstanding : '';
    this.#outstanding = '';
    this.trigger(unread);
  }
}

const IDLE_MS = 5000;
