import { closeSync, constants, lstatSync, openSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, monotonic, sleep, type Timer } from '../clock/clock.ts';
import { KEEP } from '../ipc/keep.ts';
import { connectTo } from '../net/connect.ts';

/** How much longer a connection is held open: its end is how a server knows that we are done. */
const HOLD_MS = 100_000;
/** How often a full fifo is tried again. */
const RETRY_MS = 50;

/**
 * Wakes a service up: `trigger('public/pickup', 'W', seconds)`. ipc.md 1.9. It waits until the bytes
 * are on their way, for trigger_timeout at most, and keeps no process alive.
 *
 * @returns false when the service is not there
 */
export async function trigger(
  path: string,
  bytes: string,
  timeoutSeconds: number,
): Promise<boolean> {
  const timeoutMs = timeoutSeconds * 1000;
  try {
    if (lstatSync(path).isFIFO()) {
      await writeToFifo(path, bytes, timeoutMs);
      return true;
    }
    const socket = await openSocket(path, timeoutMs);
    const hold = after(timeoutMs + HOLD_MS, () => socket.destroy()).unref();
    socket.once('close', () => hold.stop());
    await new Promise<void>((resolve) => socket.write(`${bytes}\0`, () => resolve()));
    return !socket.errored;
  } catch {
    return false;
  }
}

async function openSocket(path: string, timeoutMs: number): Promise<Socket> {
  const socket = await connectTo({ path }, { connectMs: timeoutMs });
  socket.on('error', () => {});
  // Whatever a server answers or not, we have said everything.
  socket.on('data', () => socket.destroy());
  socket.on('end', () => socket.destroy());
  socket.unref();
  return socket;
}

/** A fifo that stays full has a reader who will find enough to do. @throws when it has no reader */
async function writeToFifo(path: string, bytes: string, timeoutMs: number): Promise<void> {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  const end = monotonic() + timeoutMs;
  try {
    while (!isWritten(fd, bytes) && monotonic() < end) await sleep(RETRY_MS);
  } finally {
    closeSync(fd);
  }
}

function isWritten(fd: number, bytes: string): boolean {
  try {
    writeSync(fd, bytes);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
    throw error;
  }
}

/**
 * The same for a process that triggers one service again and again. It keeps the connection where
 * the server does (keep.ts), and triggers that nobody has taken yet are one.
 */
export class TriggerClient {
  readonly #path: string;
  readonly #connectMs: number;
  #socket: Socket | undefined;
  #idle: Timer | undefined;
  /** Sent, and not yet acknowledged. */
  #outstanding = '';
  /** To be sent after that. */
  #next = '';
  #connecting = false;

  /** `timeoutSeconds`: trigger_timeout. */
  constructor(path: string, timeoutSeconds: number) {
    this.#path = path;
    this.#connectMs = timeoutSeconds * 1000;
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
    connectTo({ path: this.#path }, { connectMs: this.#connectMs })
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
