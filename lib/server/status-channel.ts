import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { endianness } from 'node:os';
import { after } from '../clock/clock.ts';

/** The socket that all processes of a service share with master. */
const STATUS_FD = 5;
const MESSAGE_BYTES = 12;
const RETRY_MS = 100;

const littleEndian = endianness() === 'LE';

/**
 * In the place of a number of clients: whoever comes after a reload need not wait until we have
 * finished, though there is to be one process only.
 */
export const FINISHES_IN_BACKGROUND = -0x8000_0000;

/**
 * In the place of a number of clients: we still take some, but have more to do than one processor can.
 * Where there may be another process it would help.
 */
export const AT_FULL_LOAD = -0x7fff_ffff;

/** How a daemon tells master whether it can take clients. ipc.md 1.5. */
export interface StatusChannel {
  /** Reports how many more clients we can take: for Postfix's master 0 or 1. */
  report(free: number): void;
  /** Says something that is no number of clients; lost when master is slow to read. */
  notify(what: number): void;
}

/**
 * The channel that master handed down.
 *
 * @param onMasterGone called once, when master has ended or has dropped us at a reload
 */
export class MasterChannel implements StatusChannel {
  readonly #message = Buffer.alloc(MESSAGE_BYTES);
  readonly #onMasterGone: () => void;
  #latest = -1;
  #retrying = false;
  #gone = false;

  constructor(generation: number, onMasterGone: () => void) {
    this.#onMasterGone = onMasterGone;
    this.#put(0, process.pid);
    this.#put(4, generation);
    const socket = new Socket({ fd: STATUS_FD, readable: true, writable: false });
    socket.on('end', () => this.#lose());
    socket.on('error', () => this.#lose());
    socket.on('close', () => this.#lose());
    // Master says nothing here; its end is all we wait for.
    socket.resume();
  }

  report(free: number): void {
    this.#latest = free;
    if (this.#gone || this.#retrying) return;
    if (!this.#write(free)) this.#retry();
  }

  notify(what: number): void {
    if (!this.#gone && !this.#retrying) this.#write(what);
  }

  /** @returns false: master is slow to read */
  #write(word: number): boolean {
    this.#put(8, word);
    try {
      // Synchronous: when master reads that we are taken it must not be an old story.
      writeSync(STATUS_FD, this.#message);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
      this.#lose();
    }
    return true;
  }

  /** Master is slow to read: only our latest state matters to it. */
  #retry(): void {
    this.#retrying = true;
    after(RETRY_MS, () => {
      this.#retrying = false;
      this.report(this.#latest);
    });
  }

  #lose(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#onMasterGone();
  }

  #put(offset: number, value: number): void {
    if (littleEndian) this.#message.writeInt32LE(value | 0, offset);
    else this.#message.writeInt32BE(value | 0, offset);
  }
}

/** Stand-alone there is nobody to tell. */
export const noChannel: StatusChannel = { report: () => {}, notify: () => {} };
