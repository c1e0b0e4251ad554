/**
 * The connection of a client that may yet be handed over: what it sends is only looked at, and stays
 * for the server that will read it. A client whom the built-in engine serves is read from, and never
 * handed over.
 */
import type { Socket } from 'node:net';
import { after, monotonic } from '../../lib/clock/clock.ts';
import { descriptorOf, startReading, stopReading } from '../../lib/os/descriptors.ts';
import { Poller } from '../../lib/os/poll.ts';
import { peek, sendFrom, skip } from '../../lib/os/stream.ts';

/** Replies that may wait for a client that does not read them. */
const UNSENT_BYTES_MAX = 16 * 1024;
/** What a client may have sent, and nobody has looked at yet. */
const INPUT_BYTES_MAX = 16 * 1024;
/** To close with input that nobody has read would reset the connection, and our last reply with it. */
const DRAIN_BYTES = 64 * 1024;

export type Arrival = 'input' | 'end' | 'timeout';

export class ClientSocket {
  #socket: Socket;
  readonly #poller = new Poller();
  #unsent: Buffer = Buffer.alloc(0);
  #input: Buffer = Buffer.alloc(0);
  #isReading = false;
  #isHeld = false;
  #hasEnded = false;
  #wake = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get descriptor(): number {
    return descriptorOf(this.#socket);
  }

  /** Whether the client has taken all that was sent. */
  get isFlushed(): boolean {
    return this.#unsent.length === 0;
  }

  /** What has come, once it is read from. */
  get input(): Buffer {
    return this.#input;
  }

  /**
   * Sends what goes out at once, and keeps the rest for the next time.
   *
   * @returns false when the client is gone, or does not read
   */
  send(text: string): boolean {
    if (this.#socket.destroyed) return false;
    const bytes = Buffer.concat([this.#unsent, Buffer.from(text)]);
    const sent = sendFrom(this.descriptor, bytes, bytes.length);
    if (sent < 0) return false;
    this.#unsent = bytes.subarray(sent);
    return this.#unsent.length <= UNSENT_BYTES_MAX;
  }

  /**
   * Waits until there is something to look at, the time is up, or `interrupt` is called.
   *
   * @param isWatched whether the client can end the wait
   */
  async await(timeoutMs: number, isWatched = true): Promise<void> {
    await this.#poller.poll(isWatched ? [this.descriptor] : [], Math.max(0, timeoutMs));
  }

  interrupt(): void {
    this.#poller.wake();
  }

  /** Looks at what has come. @returns `undefined`: nothing; no bytes: the client has gone */
  look(max: number): Buffer | undefined {
    if (this.#socket.destroyed) return Buffer.alloc(0);
    return peek(this.descriptor, max);
  }

  /** Drops what has been looked at. */
  skip(count: number): boolean {
    return !this.#socket.destroyed && skip(this.descriptor, count);
  }

  /** Waits until the client has sent more. It is read from, now and from now on. */
  async read(expiresAt: number): Promise<Arrival> {
    this.#startReading();
    const before = this.#input.length;
    if (this.#hasEnded) return 'end';
    this.#release();
    this.#socket.resume();
    return await new Promise<Arrival>((resolve) => {
      const timer = after(Math.max(0, expiresAt - monotonic()), () => settle('timeout'));
      const settle = (arrival: Arrival) => {
        timer.stop();
        this.#wake = () => {};
        resolve(arrival);
      };
      this.#wake = () => {
        if (this.#input.length > before) settle('input');
        else if (this.#hasEnded) settle('end');
      };
    });
  }

  /** Reads nothing more, until somebody waits for it again: it may be for others. */
  hold(): void {
    if (!this.#isReading || this.#isHeld || this.#socket.destroyed) return;
    this.#isHeld = true;
    stopReading(this.#socket);
  }

  /**
   * Goes on with another connection, which carries what the client says from now on. What it has said
   * and nobody has looked at is dropped, and so is the connection so far: somebody else has it.
   */
  replace(socket: Socket): void {
    const before = this.#socket;
    before.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd);
    before.destroy();
    this.#socket = socket;
    this.#input = Buffer.alloc(0);
    this.#isReading = false;
    this.#isHeld = false;
    socket.on('error', () => {});
  }

  /** Takes so many bytes of the input. */
  take(count: number): Buffer {
    const taken = this.#input.subarray(0, count);
    this.#input = this.#input.subarray(count);
    return taken;
  }

  /** A server has the connection now, and whatever the client has sent is for that. */
  release(): void {
    this.#socket.destroy();
  }

  /** The last reply is on its way; whatever else the client has sent is of no interest. */
  close(): void {
    if (this.#socket.destroyed) return;
    if (!this.#isReading) skip(this.descriptor, DRAIN_BYTES);
    this.#socket.destroy();
  }

  #release(): void {
    if (!this.#isHeld || this.#socket.destroyed) return;
    this.#isHeld = false;
    startReading(this.#socket);
  }

  #startReading(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onEnd);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    if (this.#input.length > INPUT_BYTES_MAX) this.#socket.pause();
    this.#wake();
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    this.#wake();
  };
}
